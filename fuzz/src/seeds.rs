//! Seeds as text, so that they can be read and reviewed: one input a line, in the escapes of Rust's byte
//! strings, and `\{n}` for the byte before it n times in all. Lines that begin with `#` are remarks.

/// The inputs in the text of a seed file.
pub fn unescape(text: &str) -> Result<Vec<Vec<u8>>, String> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| read(line).ok_or_else(|| format!("cannot be read: {line}")))
        .collect()
}

/// The line that stands for an input.
pub fn escape(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace('#', "\\x23")
}

fn read(line: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        rest = rest.get(first.len_utf8()..)?;
        if first != '\\' {
            bytes.push(u8::try_from(first).ok()?);
            continue;
        }
        let kind = rest.chars().next()?;
        rest = rest.get(kind.len_utf8()..)?;
        match kind {
            'x' => {
                bytes.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
                rest = rest.get(2..)?;
            }
            '{' => {
                let (count, after) = rest.split_once('}')?;
                let last = *bytes.last()?;
                let more = count.parse::<usize>().ok()?.checked_sub(1)?;
                bytes.extend(std::iter::repeat_n(last, more));
                rest = after;
            }
            '0' => bytes.push(0),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            '\\' | '"' | '\'' => bytes.push(kind as u8),
            _ => return None,
        }
    }
    Some(bytes)
}
