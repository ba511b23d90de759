//! Files as they are: what the API hands out at addresses that it has made itself.
use super::{Client, Error, refused};
use axum::body::Body;
use http::{HeaderMap, Method, Response, StatusCode, header};
use url::{Position, Url};

impl Client {
    /// What is at `address`, or what the conditions and the range in `asked` say of it:
    /// the answer as it is, whose body has not arrived yet. The orchestrator is asked
    /// where this client reaches it, whatever origin the address names.
    ///
    /// # Errors
    ///
    /// A refusal; not that the file is known already or that there is no such range.
    pub async fn content(&self, address: &str, asked: &HeaderMap) -> Result<Response<Body>, Error> {
        let url = Url::parse(address).map_err(|error| Error::Unreachable(error.into()))?;
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let mut request = self.request(Method::GET, path, Body::empty())?;
        // The address is the credential.
        request.headers_mut().remove(header::AUTHORIZATION);
        for name in [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH] {
            if let Some(value) = asked.get(&name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        let response = self.pass(request).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            status if status.is_success() => Ok(response),
            _ => Err(refused(response).await),
        }
    }
}
