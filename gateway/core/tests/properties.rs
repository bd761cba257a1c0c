//! The properties that the fuzz targets judge, over their seeds and over random bytes: what a fuzzer once found stays found.

#[path = "../fuzz/properties.rs"]
mod properties;

use std::path::Path;

use proptest::prelude::*;

/// Every seed of a target, by its name.
#[expect(clippy::disallowed_methods, reason = "seeds are files, which a fuzzer adds to")]
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .expect("a folder of seeds")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).expect("a seed")))
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 3, "{}", folder.display());
    seeds
}

/// The seeds as they are, cut off anywhere, and with any one byte changed.
fn over_seeds(target: &str, property: fn(&[u8])) {
    for (name, seed) in seeds(target) {
        eprintln!("{name}");
        property(&seed);
        let step = (seed.len() / 100).max(1);
        for at in (0..seed.len()).step_by(step) {
            property(&seed[..at]);
            for other in [0, b'<', b'%', b'"', b'\n', 0xff] {
                let mut bent = seed.clone();
                bent[at] = other;
                property(&bent);
            }
        }
    }
}

#[test]
fn targets_of_requests() {
    over_seeds("uri_query", properties::uri_query);
}

#[test]
fn framing_of_chunks() {
    over_seeds("chunk_decoder", properties::chunk_decoder);
}

#[test]
fn bodies_of_xml() {
    over_seeds("xml_bodies", properties::xml_bodies);
}

#[test]
fn forms_of_browsers() {
    over_seeds("post_form", properties::post_form);
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "[ -~\r\n]{0,80}") {
        for data in [&bytes[..], text.as_bytes()] {
            properties::uri_query(data);
            properties::chunk_decoder(data);
            properties::xml_bodies(data);
            properties::post_form(data);
        }
    }
}
