//! The middleware around all operations: every request passes it first, and every response passes it last.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use poem::{
    Endpoint, IntoResponse, Request, Response, Result,
    error::NotFoundError,
    http::{HeaderValue, StatusCode, header},
};
use tracing::Instrument;

use super::{
    api_error::{MethodNotAllowed, TimedOut, WriteError},
    bearer::{self, Challenge},
    body,
    cors::{self, AllowedOrigins},
    head_checks,
    operation::TIME_LIMIT,
    received_at::RequestClock,
    routes::{Route, Routes},
    security_headers::SecurityHeaders,
    telemetry::Telemetry,
};
use crate::{clock::Clock, random::RandomSource};

/// The parts of the server that the middleware uses.
pub struct Settings<O> {
    /// The documented paths.
    pub routes: Arc<Routes>,
    /// The origins whose pages may read responses.
    pub origins: O,
    /// Writes the errors of a path.
    pub write_error: fn(path: &str) -> WriteError,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of new request ids.
    pub random: Arc<dyn RandomSource>,
    /// The `max-age` of `Strict-Transport-Security` in seconds. None sends no such header.
    pub hsts: Option<u32>,
}

/// The outermost endpoint.
pub struct Middleware<E, O> {
    inner: E,
    routes: Arc<Routes>,
    origins: O,
    write_error: fn(&str) -> WriteError,
    clock: Arc<dyn Clock>,
    telemetry: Telemetry,
    security_headers: SecurityHeaders,
}

/// The values that are needed to write an error of a request.
struct RequestContext {
    write_error: WriteError,
    challenge: Challenge,
    clock: RequestClock,
}

impl RequestContext {
    fn error(&self, error: impl Into<poem::Error>) -> Response {
        no_store((self.write_error)(error.into(), self.challenge, self.clock.time()))
    }
}

impl<E: Endpoint, O: AllowedOrigins> Middleware<E, O> {
    /// The middleware around `inner`.
    pub fn new(inner: E, settings: Settings<O>) -> Self {
        let Settings { routes, origins, write_error, clock, random, hsts } = settings;
        let (telemetry, security_headers) = (Telemetry::new(random, &routes), SecurityHeaders::new(hsts));
        Self { inner, routes, origins, write_error, clock, telemetry, security_headers }
    }

    /// The response to a request, with the headers of its family.
    async fn respond(
        &self,
        route: Option<&Route>,
        context: &RequestContext,
        request: Box<Request>,
    ) -> Response {
        if !head_checks::has_valid_host(&request) {
            return context.error(StatusCode::BAD_REQUEST);
        }
        if !head_checks::has_supported_transfer_coding(&request) {
            return context.error(StatusCode::NOT_IMPLEMENTED);
        }
        let origin = cors::allowed_origin(&self.origins, route, &request).await;
        let mut response = match (route, &origin) {
            (None, _) => context.error(NotFoundError),
            (Some(route), Some(_)) if cors::is_preflight(&request) => cors::preflight(route),
            (Some(route), _) => self.call_operation(route, context, request).await,
        };
        if let Some(origin) = origin {
            cors::allow(response.headers_mut(), origin);
        }
        if route.is_some_and(Route::is_service) { response } else { no_store(response) }
    }

    async fn call_operation(
        &self,
        route: &Route,
        context: &RequestContext,
        mut request: Box<Request>,
    ) -> Response {
        if route.operation(request.method()).is_none() {
            return context.error(MethodNotAllowed { allow: route.allow() });
        }
        bearer::remove_ambiguous(&mut request);
        // A client that waits for `100 Continue` sends no body that could be discarded.
        if !route.reads_body() && !request.headers().contains_key(header::EXPECT) {
            body::discard(&mut request).await;
        }
        match self.inner.call(*request).await {
            Ok(response) => response.into_response(),
            Err(error) => context.error(error),
        }
    }
}

impl<E: Endpoint, O: AllowedOrigins> Endpoint for Middleware<E, O> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        // Boxed to keep this future small: each function that takes a request by value would reserve memory for it.
        let mut request = Box::new(request);
        let time = self.clock.now();
        self.routes.normalize(&mut request);
        let clock = RequestClock::new(self.clock.clone());
        request.extensions_mut().insert(clock.clone());
        let context = RequestContext {
            write_error: (self.write_error)(request.uri().path()),
            challenge: bearer::challenge(&request),
            clock,
        };
        let route = self.routes.find(request.uri().path());
        let limit = route.map_or(TIME_LIMIT, Route::time_limit);
        let telemetry = self.telemetry.start(&request, route, time);
        let responding = async {
            let response = AssertUnwindSafe(self.respond(route, &context, request)).catch_unwind();
            match tokio::time::timeout(limit, response).await {
                Ok(Ok(response)) => response,
                // The message of the panic is not logged, because it could hold a secret.
                Ok(Err(_)) => {
                    context.error(poem::Error::from_string("a panic", StatusCode::INTERNAL_SERVER_ERROR))
                }
                Err(_) => context.error(TimedOut { limit }),
            }
        };
        let mut response = responding.instrument(telemetry.span()).await;
        self.security_headers.add(&mut response);
        telemetry.finish(&mut response);
        Ok(response)
    }
}

/// Adds the headers of every response of a family: it must not be stored, and it differs between origins.
fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
    response
}
