//! API keys: made, shown, changed, rotated and taken away by people.
mod fields;
mod make;
mod view;

use super::route::{Call, Cx, on};
use super::{BearerId, Change, Error, State};
use crate::api::keys as wire;
use crate::api::{DisableKey, EnableKey, GetKey, ListKeys, PatchKey, RevokeKey};
use crate::domain::api_key::Status;
use crate::domain::id::{ApiKeyId, WorkspaceId};
use crate::store::Conn;
use crate::store::api_keys::{self as table, ApiKey, Listed, Page};
use axum::Router;
use time::OffsetDateTime;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .merge(on(make::create))
        .merge(on(list))
        .merge(on(get))
        .merge(on(patch))
        .merge(on(revoke))
        .merge(on(make::rotate))
        .merge(on(disable))
        .merge(on(enable))
}

async fn list(cx: Cx, call: Call<ListKeys>) -> Result<wire::List, Error> {
    let limit = i64::from(call.query.limit.unwrap_or(20).clamp(1, 100));
    let given = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().to_owned();
    let status = match given(&call.query.status).as_str() {
        "" => "",
        word => Status::named(word).map(Status::name).ok_or_else(|| {
            let words = Status::ALL.map(Status::name).join(", ");
            Error::field("status", format!("Use one of: {words}."))
        })?,
    };
    let before = match given(&call.query.cursor).as_str() {
        "" => None,
        cursor => Some(cursor.parse().map_err(|_| {
            Error::field("cursor", "Use a next_cursor of this list, or leave it out.")
        })?),
    };
    let page = Page {
        status,
        before,
        limit: limit + 1,
    };
    let (now, workspace) = (cx.now(), cx.caller.workspace);
    let mut conn = cx.store().read().await?;
    let mut keys = table::list(&mut conn, workspace, &page, now).await?;
    let has_more = i64::try_from(keys.len()).unwrap_or(i64::MAX) > limit;
    keys.truncate(usize::try_from(limit).unwrap_or(100));
    let ids: Vec<_> = keys.iter().map(|listed| listed.key.id).collect();
    let secrets = table::secrets(&mut conn, &ids).await?;
    let last = ids.last().filter(|_| has_more);
    Ok(wire::List {
        next_cursor: last.map(ToString::to_string),
        limit,
        has_more,
        api_keys: keys
            .into_iter()
            .map(|listed| view::show(listed, &secrets, now))
            .collect(),
    })
}

async fn get(cx: Cx, call: Call<GetKey>) -> Result<wire::ApiKey, Error> {
    let mut conn = cx.store().read().await?;
    let listed = find(&mut conn, cx.caller.workspace, call.path.0).await?;
    show(&mut conn, listed, cx.now()).await
}

/// The key of this workspace, or 404.
async fn find(conn: &mut Conn, workspace: WorkspaceId, id: ApiKeyId) -> Result<Listed, Error> {
    let found = table::find(conn, workspace, id).await?;
    found.ok_or_else(|| Error::NotFound("There is no such API key in this workspace.".into()))
}

async fn show(conn: &mut Conn, listed: Listed, now: OffsetDateTime) -> Result<wire::ApiKey, Error> {
    let secrets = table::secrets(conn, &[listed.key.id]).await?;
    Ok(view::show(listed, &secrets, now))
}

async fn patch(cx: Cx, call: Call<PatchKey>) -> Result<wire::ApiKey, Error> {
    let changes = fields::patch(&call.body)?;
    change(&cx, call.path.0, "changed", move |key, _| {
        if let Some(name) = &changes.name {
            key.name.clone_from(name);
        }
        if let Some(scopes) = changes.scopes {
            key.scopes = scopes;
        }
        if let Some(allowed) = &changes.allowed_ips {
            key.allowed_ips.clone_from(allowed);
        }
        Ok(())
    })
    .await
}

async fn revoke(cx: Cx, call: Call<RevokeKey>) -> Result<wire::ApiKey, Error> {
    // Saying it twice is no mistake.
    let mut conn = cx.store().read().await?;
    let listed = find(&mut conn, cx.caller.workspace, call.path.0).await?;
    if listed.key.revoked_at.is_some() {
        return show(&mut conn, listed, cx.now()).await;
    }
    drop(conn);
    change(&cx, call.path.0, "revoked", |key, now| {
        key.revoked_at = Some(now);
        Ok(())
    })
    .await
}

async fn disable(cx: Cx, call: Call<DisableKey>) -> Result<wire::ApiKey, Error> {
    change(&cx, call.path.0, "disabled", |key, now| {
        key.disabled_at = key.disabled_at.or(Some(now));
        Ok(())
    })
    .await
}

async fn enable(cx: Cx, call: Call<EnableKey>) -> Result<wire::ApiKey, Error> {
    change(&cx, call.path.0, "enabled", |key, _| {
        key.disabled_at = None;
        Ok(())
    })
    .await
}

/// Changes a key that is not revoked, and cuts whoever uses it now: those who
/// still may begin again.
async fn change(
    cx: &Cx,
    id: ApiKeyId,
    what: &'static str,
    work: impl Fn(&mut ApiKey, OffsetDateTime) -> Result<(), Error> + Send + 'static,
) -> Result<wire::ApiKey, Error> {
    let (workspace, now) = (cx.caller.workspace, cx.now());
    let shown = cx
        .store()
        .write(move |conn| {
            Box::pin(async move {
                table::lock(conn, id).await?;
                let mut listed = find(conn, workspace, id).await?;
                if listed.key.revoked_at.is_some() {
                    return Err(revoked());
                }
                work(&mut listed.key, now)?;
                table::update(conn, &listed.key).await?;
                show(conn, listed, now).await
            })
        })
        .await?;
    cx.hub().publish(Change::SignedOut {
        bearer: BearerId::Key(id),
    });
    tracing::info!(key = %id, by = %cx.caller.account, "API key {what}");
    Ok(shown)
}

fn revoked() -> Error {
    Error::Conflict {
        code: "CONFLICT",
        message: "This key was revoked, and stays so. Make a new one.".into(),
    }
}
