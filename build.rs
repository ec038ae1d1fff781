//! Hands the compiler the admin page as `scripts/page.mjs` made it: the folder that `ONE_BALANCE_PAGE`
//! names. Without that, as when cargo is run by hand or by an editor, the page is an empty one, so
//! that checking and testing the Rust code needs no Node.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

/// An empty text, gzipped.
const EMPTY: [u8; 20] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=ONE_BALANCE_PAGE");
    println!("cargo:rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR")?;
    let made = env::var("ONE_BALANCE_PAGE").ok().filter(|folder| !folder.is_empty());
    let parts: [(&str, &[u8]); 3] = [
        ("page.html.gz", &EMPTY),
        ("page.csp", b"default-src 'none'"),
        ("page.etag", b"\"empty\""),
    ];
    for (name, stand_in) in parts {
        let to = Path::new(&out).join(name);
        match &made {
            Some(folder) => {
                let from = Path::new(folder).join(name);
                println!("cargo:rerun-if-changed={}", from.display());
                fs::copy(&from, &to).map_err(|why| format!("{}: {why}", from.display()))?;
            }
            None => fs::write(&to, stand_in)?,
        }
    }
    Ok(())
}
