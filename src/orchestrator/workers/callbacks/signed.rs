//! Standard Webhooks: what the headers of a call say.
use super::super::super::{Error, State, callbacks, seal};
use crate::domain::id::WorkspaceId;
use crate::random;
use crate::store::callbacks::Delivery;
use crate::store::callbacks::secrets as table;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;
use time::OffsetDateTime;

/// What a workspace's calls are signed with now, the newest first.
pub(super) async fn keys(
    state: &State,
    workspace: WorkspaceId,
) -> Result<Result<Vec<Vec<u8>>, seal::Damaged>, Error> {
    let all = table::of(&mut *state.store().read().await?, workspace).await?;
    Ok(callbacks::keys(state, workspace, &all, state.now()))
}

/// One signature for each key, so that receivers who know any of them are content.
pub(super) fn headers(
    keys: &[Vec<u8>],
    at: OffsetDateTime,
    delivery: &Delivery,
    token: Option<&str>,
) -> HeaderMap {
    let id = delivery.id.to_string();
    let seconds = at.unix_timestamp().to_string();
    let signed = format!("{id}.{seconds}.{}", delivery.body);
    let signatures: Vec<String> = keys.iter().map(|key| signature(key, &signed)).collect();
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str, secret: bool| {
        if let Ok(mut value) = HeaderValue::try_from(value) {
            value.set_sensitive(secret);
            headers.insert(name, value);
        }
    };
    set("content-type", "application/json", false);
    set("webhook-id", &id, false);
    set("webhook-timestamp", &seconds, false);
    set("webhook-signature", &signatures.join(" "), false);
    if let Some(token) = token {
        set("authorization", &format!("Bearer {token}"), true);
    }
    headers
}

fn signature(key: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    format!("v1,{}", random::base64(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the specification's own libraries are tested with.
    #[test]
    fn a_signature_is_what_others_compute() {
        // `C2FVsBQIhrscChlQIMV+b5sSYspob7oD` in base64.
        let key = [
            0x0b, 0x61, 0x55, 0xb0, 0x14, 0x08, 0x86, 0xbb, 0x1c, 0x0a, 0x19, 0x50, 0x20, 0xc5,
            0x7e, 0x6f, 0x9b, 0x12, 0x62, 0xca, 0x68, 0x6f, 0xba, 0x03,
        ];
        let text = concat!(
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk.1649367553.",
            r#"{"email":"test@example.com","username":"test_user"}"#
        );
        assert_eq!(
            signature(&key, text),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }
}
