//! Writes the seeds of a target as the files that libFuzzer starts from. Stands alone, so that `rustc` makes it
//! in a moment.
//!
//!     seeds FILE FOLDER

use std::error::Error;
use std::path::Path;
use std::{env, fs};

#[path = "../seeds.rs"]
#[allow(dead_code, reason = "reading is enough here")]
mod seeds;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [file, folder] = &arguments[..] else {
        return Err("usage: seeds FILE FOLDER".into());
    };
    fs::create_dir_all(folder)?;
    for (number, seed) in seeds::unescape(&fs::read_to_string(file)?)?.iter().enumerate() {
        fs::write(Path::new(folder).join(format!("seed-{number}")), seed)?;
    }
    Ok(())
}
