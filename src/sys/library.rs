//! Shared libraries of the machine, loaded when first asked for, and tables of the functions in them.

use std::ffi::{CStr, c_void};

/// An open library. It is never unloaded, so what is found in it stays.
#[derive(Clone, Copy)]
pub(super) struct Library(*mut c_void);

impl Library {
    /// Opens it by its name; `None` where the machine has none of it.
    pub(super) fn open(name: &CStr) -> Option<Library> {
        // SAFETY: a NUL-terminated name, of libraries whose initialisers are those of C libraries.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        (!handle.is_null()).then_some(Library(handle))
    }

    /// Where a function of this name is.
    pub(super) fn symbol(self, name: &CStr) -> Option<*mut c_void> {
        // SAFETY: an open library and a NUL-terminated name.
        let symbol = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        (!symbol.is_null()).then_some(symbol)
    }
}

/// Declares a table of a library's functions, `$name`, and how to find them all. The signatures have to be those of
/// the library's own documentation.
macro_rules! functions {
    (
        $(#[$doc:meta])* $name:ident;
        $($field:ident $symbol:literal ($($argument:ty),*) $(-> $result:ty)?;)*
    ) => {
        $(#[$doc])*
        struct $name {
            $($field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl $name {
            /// All of them, or nothing.
            fn find(library: $crate::sys::library::Library) -> Option<$name> {
                Some($name {
                    $($field: {
                        let symbol = library.symbol($symbol)?;
                        // SAFETY: the function of this name has this signature, by the library's documentation.
                        unsafe {
                            std::mem::transmute::<
                                *mut std::ffi::c_void,
                                unsafe extern "C" fn($($argument),*) $(-> $result)?,
                            >(symbol)
                        }
                    },)*
                })
            }
        }
    };
}

pub(super) use functions;

/// What a C++ program prints, built against headers of this machine; `None`, with a word why, where they are missing.
#[cfg(test)]
pub(super) fn ask_headers(name: &str, flags: &[&str], source: &str) -> Option<Vec<usize>> {
    use std::process::Command;
    let folder = std::env::temp_dir().join(format!("ferrozmq-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (code, program) = (folder.join("ask.cpp"), folder.join("ask"));
    std::fs::write(&code, source).expect("a file");
    let built =
        Command::new("c++").args(["-w", "-o"]).arg(&program).arg(&code).args(flags).output();
    let answer = match built {
        Ok(built) if built.status.success() => Command::new(&program).output().ok(),
        _ => None,
    };
    std::fs::remove_dir_all(&folder).expect("our own");
    let Some(answer) = answer else {
        eprintln!("skipped: no compiler, or no headers of {name} (Debian: lib{name}-dev)");
        return None;
    };
    let text = String::from_utf8(answer.stdout).expect("digits");
    Some(text.split_whitespace().map(|word| word.parse().expect("a number")).collect())
}
