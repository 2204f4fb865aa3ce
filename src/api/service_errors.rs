//! Errors that services of several operations share, as responses of either family.

use crate::{
    http::api_error::{ApiError, Envelope},
    identity::password_hashing::HashError,
    rate_limit::limiter::LimitError,
};

impl<C: Envelope> From<LimitError> for ApiError<C> {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::RateLimited(retry_after) => Self::too_many_requests(retry_after),
            LimitError::Database(error) => error.into(),
        }
    }
}

impl<C: Envelope> From<HashError> for ApiError<C> {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy(retry_after) => Self::unavailable(retry_after, None),
            HashError::Unreadable(_) | HashError::Failed(_) | HashError::Stopped => Self::internal(error),
        }
    }
}
