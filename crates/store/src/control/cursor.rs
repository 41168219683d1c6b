//! Where a page ended: opaque text for clients, the last row's sort key for us.

use super::ControlError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event::{Id, Timestamp};

pub fn encode(time: Timestamp, id: Id) -> String {
    let mut bytes = time.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(&id.0);
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(text: &str) -> Result<(Timestamp, Id), ControlError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ControlError::BadCursor)?;
    let (time, id) = bytes.split_at_checked(8).ok_or(ControlError::BadCursor)?;
    let time = time.try_into().map(i64::from_be_bytes).map_err(|_| ControlError::BadCursor)?;
    let id = id.try_into().map_err(|_| ControlError::BadCursor)?;
    Ok((Timestamp(time), Id(id)))
}

pub fn encode_seq(seq: i64) -> String {
    URL_SAFE_NO_PAD.encode(seq.to_be_bytes())
}

pub fn decode_seq(text: &str) -> Result<i64, ControlError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ControlError::BadCursor)?;
    bytes.as_slice().try_into().map(i64::from_be_bytes).map_err(|_| ControlError::BadCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_anything_else() {
        let (time, id) = (Timestamp(-5), Id([7; 16]));
        let text = encode(time, id);
        assert_eq!(decode(&text).unwrap(), (time, id));
        assert_eq!(decode_seq(&encode_seq(9)).unwrap(), 9);
        for bad in ["", "x", "é", "AAAA", &text[1..], &encode_seq(1)] {
            assert!(matches!(decode(bad), Err(ControlError::BadCursor)), "{bad}");
        }
        assert!(matches!(decode_seq(&text), Err(ControlError::BadCursor)));
    }
}
