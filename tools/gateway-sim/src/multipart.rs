//! Reads the fields of a multipart form out of a body that is already in memory.

#[derive(Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: String,
    pub filename: Option<String>,
    pub content_type: Option<String>,
    pub data: &'a [u8],
}

impl Field<'_> {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.data).trim().to_owned()
    }
}

pub fn boundary(content_type: &str) -> Option<&str> {
    let value =
        content_type.split(';').map(str::trim).find_map(|part| part.strip_prefix("boundary="))?;
    Some(value.trim_matches('"'))
}

pub fn fields<'a>(body: &'a [u8], boundary: &str) -> Vec<Field<'a>> {
    let delimiter = format!("--{boundary}");
    let mut starts = Vec::new();
    let mut from = 0;
    while let Some(found) = find(body.get(from..).unwrap_or_default(), delimiter.as_bytes()) {
        starts.push(from + found);
        from += found + delimiter.len();
    }
    starts
        .windows(2)
        .filter_map(|pair| {
            let [start, end] = pair else { return None };
            field(body.get(start + delimiter.len()..*end)?)
        })
        .collect()
}

fn field(part: &[u8]) -> Option<Field<'_>> {
    let part = part.strip_prefix(b"\r\n").unwrap_or(part);
    let end = find(part, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(part.get(..end)?).into_owned();
    let data = part.get(end + 4..)?;
    let data = data.strip_suffix(b"\r\n").unwrap_or(data);
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let disposition = header("content-disposition")?;
    let parameter = |name: &str| {
        disposition.split(';').map(str::trim).find_map(|part| {
            let (key, value) = part.split_once('=')?;
            (key == name).then(|| value.trim_matches('"').to_owned())
        })
    };
    Some(Field {
        name: parameter("name")?,
        filename: parameter("filename"),
        content_type: header("content-type"),
        data,
    })
}

/// Compares whole windows only where the first byte fits: forms can be large.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0;
    loop {
        let at = from + haystack.get(from..)?.iter().position(|byte| byte == first)?;
        if haystack.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_and_files() {
        let body = b"--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
            --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\x00\x01\r\n--\r\n--X--\r\n";
        let fields = fields(body, boundary("multipart/form-data; boundary=X").unwrap());
        assert_eq!(fields.len(), 2);
        assert_eq!((fields[0].name.as_str(), fields[0].text().as_str()), ("model", "whisper-1"));
        assert_eq!(fields[1].filename.as_deref(), Some("a.mp3"));
        assert_eq!(fields[1].content_type.as_deref(), Some("audio/mpeg"));
        assert_eq!(fields[1].data, b"\x00\x01\r\n--");
    }

    #[test]
    fn a_broken_form_has_no_fields() {
        assert!(fields(b"--X\r\nnonsense", "X").is_empty());
        assert_eq!(boundary("application/json"), None);
    }
}
