use super::{hex, random, sha256_hex};

/// A new key `erne_<id>_<secret>`: its id, the clear text, and the hash to store.
pub fn new_key() -> (String, String, String) {
    let id = hex(&random::<8>());
    let clear = format!("erne_{id}_{}", hex(&random::<32>()));
    let hash = sha256_hex(&clear);
    (id, clear, hash)
}

/// Whether a text has a key's shape: what has not is refused before anything is hashed.
pub fn shape_ok(text: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    text.strip_prefix("erne_")
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(id, secret)| id.len() == 16 && secret.len() == 64 && is_hex(id) && is_hex(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_shape_and_nothing_else_has() {
        let (id, clear, hash) = new_key();
        assert!(shape_ok(&clear) && clear.contains(&id) && hash == sha256_hex(&clear));
        assert_ne!(new_key().1, clear);
        for bad in ["", "erne_", "erne_a_b", &clear[..clear.len() - 1], &clear.replace("erne_", "ERNE_")] {
            assert!(!shape_ok(bad), "{bad}");
        }
    }
}
