//! Authentication: the caller of a request, by the access token.

use std::{net::IpAddr, sync::Arc};

use poem::{FromRequest, Request, RequestBody, Result, web::Data};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, SecurityScheme, auth::Bearer,
    error::AuthorizationError, registry::Registry,
};

use super::{Services, classes, is_sign_in, sign_in};
use crate::{
    domain::id::{AppId, SessionId, UserId},
    http::{api_error::ApiError, received_at::ReceivedAt},
    identity::{
        own_account::Owner,
        tokens::{self, BearerError},
    },
};

/// An access token of `POST /api/v1/tokens`, in the `Authorization` header (RFC 6750 section 2.1). It is a JWT of type
/// `at+jwt` (RFC 9068), signed with RS256 and checked as RFC8725 requires.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "accessToken", bearer_format = "JWT")]
struct AccessToken(Bearer);

/// The authenticated caller of a request.
///
/// A handler with this parameter answers 401 before it runs, if the request has no valid access token or its session has ended.
/// The parameter also adds the security requirement to the document. Declare it as the first parameter, so that 401 comes before
/// 404.
pub struct Caller {
    /// The user to whom the token was issued.
    pub user: UserId,
    /// The app to which the token was issued.
    pub app: AppId,
    /// The session of the token.
    pub session: SessionId,
}

impl Caller {
    /// The caller as the owner of an account, with the client's address.
    pub fn owner(&self, address: Option<IpAddr>) -> Owner {
        let &Self { user, app, session } = self;
        Owner { user, app, session, address }
    }
}

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <AccessToken as ApiExtractor>::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        <AccessToken as ApiExtractor>::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let AccessToken(bearer) = <AccessToken as ApiExtractor>::from_request(request, body, options).await?;
        let services = <Data<&Arc<Services>>>::from_request_without_body(request).await?;
        let ReceivedAt(now) = ReceivedAt::from_request_without_body(request).await?;
        let authenticated = services.identity.tokens.bearer(&bearer.token, now).await;
        let tokens::Bearer { user, app, session } =
            authenticated.map_err(|error| refuse(error, request.uri().path()))?;
        Ok(Self { user, app, session })
    }
}

/// The error of a request to this path. Only the sign-in family tells a caller that the app is disabled.
fn refuse(error: BearerError, path: &str) -> poem::Error {
    match error {
        BearerError::AppDisabled if is_sign_in(path) => {
            ApiError::documented(sign_in::error::APP_DISABLED).into()
        }
        // The middleware writes the 401 in the envelope of the family.
        BearerError::Invalid | BearerError::AppDisabled => AuthorizationError.into(),
        BearerError::Database(error) if is_sign_in(path) => {
            ApiError::<sign_in::error::ErrorCode>::from(error).into()
        }
        BearerError::Database(error) => ApiError::<classes::error::ErrorCode>::from(error).into(),
    }
}
