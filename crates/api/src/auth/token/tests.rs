use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::control::Role;

fn user() -> User {
    User { name: "alice".into(), role: Role::Analyst, password_hash: "h".into(), created: Timestamp::from_secs(1) }
}

fn now() -> Timestamp {
    Timestamp::from_secs(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64)
}

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn signed(header: &str, claims: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn claims(change: impl Fn(&mut serde_json::Value)) -> String {
    let mut claims = serde_json::json!({"sub": "alice", "iss": "erne", "aud": "erne-api", "iat": 0, "exp": now().secs() + 60, "ver": "v"});
    change(&mut claims);
    claims.to_string()
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

#[test]
fn an_issued_token_is_taken_until_it_ends() {
    let tokens = Tokens::with_secret(SECRET, 60);
    let token = tokens.issue(&user(), now()).unwrap();
    let claims = tokens.check(&token, now()).unwrap();
    assert_eq!((claims.sub.as_str(), claims.ver), ("alice", fingerprint(&user())));
    assert!(tokens.check(&token, now().plus_secs(60)).is_none());
    assert!(Tokens::with_secret(b"another secret of thirty-two byte", 60).check(&token, now()).is_none());
}

#[test]
fn the_fingerprint_follows_password_role_and_identity() {
    let mut changed = [user(), user(), user()];
    changed[0].password_hash = "other".into();
    changed[1].role = Role::Admin;
    changed[2].created = Timestamp::from_secs(2);
    assert!(changed.iter().all(|u| fingerprint(u) != fingerprint(&user())));
}

#[test]
fn forged_and_misdirected_tokens_are_refused() {
    let tokens = Tokens::with_secret(SECRET, 60);
    let check = |token: &str| tokens.check(token, now()).is_some();
    assert!(check(&signed(HEADER, &claims(|_| ()), SECRET)), "the helper makes good tokens");
    // A `kid` with a path, or an embedded key, changes nothing.
    assert!(check(&signed(r#"{"alg":"HS256","kid":"../../dev/null"}"#, &claims(|_| ()), SECRET)));
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"None"}"#, r#"{"alg":"RS256"}"#, r#"{"alg":"HS512"}"#, r#"{"alg":"ES256"}"#, "{}", "x"] {
        assert!(!check(&signed(header, &claims(|_| ()), SECRET)), "{header}");
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims(|_| ())));
        assert!(!check(&unsigned), "{header} unsigned");
    }
    for (what, bad) in [
        ("expired", claims(|c| c["exp"] = 1.into())),
        ("no end", claims(|c| { c.as_object_mut().unwrap().remove("exp"); })),
        ("wrong audience", claims(|c| c["aud"] = "other".into())),
        ("wrong issuer", claims(|c| c["iss"] = "other".into())),
        ("not yet", claims(|c| c["nbf"] = (now().secs() + 600).into())),
        ("no user", claims(|c| { c.as_object_mut().unwrap().remove("sub"); })),
        ("no fingerprint", claims(|c| { c.as_object_mut().unwrap().remove("ver"); })),
    ] {
        assert!(!check(&signed(HEADER, &bad, SECRET)), "{what}");
    }
    assert!(!check(&signed(HEADER, &claims(|c| c["pad"] = "x".repeat(10_000).into()), SECRET)), "endless");
    for junk in ["", ".", "..", "a.b.c", "\u{0}"] {
        assert!(!check(junk));
    }
}

/// Wycheproof's JWS vectors: with each HMAC key as ours, no vector that must be refused may be taken, and a
/// valid signature must get past the signature (its payload is no claims of ours, so `check` refuses it too).
#[test]
fn wycheproof_vectors_that_are_invalid_are_refused() {
    let shared = std::env::var("ERNE_SHARED").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
    let mut paths = ["json_web_signature_test.json", "json_web_crypto_test.json", "json_web_key_test.json"].map(|f| Path::new(&shared).join("data/trust/wycheproof").join(f));
    if !paths[0].exists() {
        paths = paths.map(|p| Path::new("/work/shared/data/trust/wycheproof").join(p.file_name().unwrap()));
    }
    let Ok(texts) = paths.iter().map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>() else {
        println!("skipped: no Wycheproof vectors at {}", paths[0].display());
        return;
    };
    let (mut refused, mut valid_hs256) = (0, 0);
    let files: Vec<serde_json::Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let valid: std::collections::HashSet<&str> = files.iter().flat_map(tests_of).filter(|t| t["result"] == "valid").filter_map(|t| t["jws"].as_str()).collect();
    for file in &files {
        for group in file["testGroups"].as_array().unwrap() {
            for test in group["tests"].as_array().unwrap() {
                let Some(jws) = test["jws"].as_str() else { continue };
                for key in keys(group) {
                    let tokens = Tokens::with_secret(&key, 60);
                    assert!(tokens.check(jws, now()).is_none(), "{} {}", group["comment"], test["comment"]);
                    let genuine = genuine(jws, &key);
                    // Two padding cases say "invalid" of the very bytes that another says "valid" of: the files lost
                    // the padding that they are about.
                    if test["result"] == "invalid" && !is_about_key_sets(test) && !valid.contains(jws) {
                        assert!(!genuine, "{} {} passed the signature", group["comment"], test["comment"]);
                        refused += 1;
                    } else if genuine {
                        valid_hs256 += 1;
                    }
                }
            }
        }
    }
    println!("wycheproof: {refused} refused, {valid_hs256} valid HS256 signatures recognised");
    assert!(refused > 100 && valid_hs256 > 0);
}

fn tests_of(file: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    file["testGroups"].as_array().unwrap().iter().flat_map(|group| group["tests"].as_array().unwrap())
}

/// The group's HMAC key; for the others its public key as bytes, which is what the RS→HS confusion signs with.
fn keys(group: &serde_json::Value) -> Vec<Vec<u8>> {
    let member = |name: &str| group[name].as_object().cloned();
    let mut keys = Vec::new();
    for jwk in ["private", "public"].into_iter().filter_map(member) {
        for name in ["k", "n", "x"] {
            if let Some(Ok(key)) = jwk.get(name).and_then(|k| k.as_str()).map(|k| URL_SAFE_NO_PAD.decode(k)) {
                keys.push(key);
            }
        }
        keys.push(serde_json::Value::from(jwk).to_string().into_bytes());
    }
    keys
}

/// Vectors about choosing among several keys have genuine signatures; we have one key.
fn is_about_key_sets(test: &serde_json::Value) -> bool {
    test["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == "Ambiguous" || f == "MixedKeySet" || f == "DuplicateKid"))
}

/// Whether the signature alone is right by our rules (HS256 only), claims aside.
fn genuine(jws: &str, key: &[u8]) -> bool {
    let tokens = Tokens::with_secret(key, 60);
    let mut validation = tokens.validation.clone();
    validation.set_required_spec_claims::<&str>(&[]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.iss = None;
    match jsonwebtoken::decode::<serde_json::Value>(jws, &tokens.decoding, &validation) {
        Ok(_) => true,
        // The payload of the vectors is no JSON: that is found only after the signature was right.
        Err(error) => matches!(error.kind(), jsonwebtoken::errors::ErrorKind::Json(_)) && jws.starts_with("ey") && header_is_json(jws),
    }
}

fn header_is_json(jws: &str) -> bool {
    let header = jws.split('.').next().unwrap_or_default();
    URL_SAFE_NO_PAD.decode(header).is_ok_and(|h| serde_json::from_slice::<serde_json::Value>(&h).is_ok_and(|h| h["alg"] == "HS256"))
}
