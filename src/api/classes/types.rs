//! Types of several operations of the classroom family.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use poem_openapi::{
    Object,
    types::{ParseFromJSON, ToJSON, Type},
};
use serde_json::Value;

use super::error::{CLASS_NOT_FOUND, ErrorCode, STUDENT_NOT_FOUND};
use crate::{
    domain::{
        class_name::ClassName,
        id::{ClassId, UserId},
        join_code::JoinCode,
        page::PageInfo,
    },
    http::{
        api_error::ApiError,
        constant_types::Always,
        operation::{Operation, OperationResponse},
        string_types::{parameter, text},
    },
};

/// The class of the examples.
pub(super) const EXAMPLE_CLASS: &str = "22222222-2222-2222-2222-222222222222";
/// The student of the examples.
pub(super) const EXAMPLE_STUDENT: &str = "019df262-4ec0-7000-8000-000000000002";
/// The join code of the examples.
pub(super) const EXAMPLE_JOIN_CODE: &str = "7KQ2M9XD";

/// A success body of the classroom family.
#[derive(Debug, Object)]
pub struct Success<T: Type + ParseFromJSON + ToJSON + Send + Sync> {
    /// Always `true`.
    success: Always<true>,
    /// The HTTP status.
    #[oai(validator(minimum(value = "200"), maximum(value = "299")))]
    code: i32,
    /// The result, for a person to read.
    #[oai(validator(max_length = 200))]
    message: String,
    /// The result.
    data: T,
}

impl<T: Type + ParseFromJSON + ToJSON + Send + Sync> Success<T> {
    /// The success response of an operation.
    pub fn response<O: Operation<Body = Self>>(data: impl Into<T>) -> OperationResponse<O> {
        let (status, message) = O::SUCCESS;
        let (code, message) = (status.into(), message.to_owned());
        OperationResponse::new(Self { success: Always, code, message, data: data.into() })
    }
}

/// A page of a list of the classroom family.
#[derive(Debug, Object)]
pub struct Page<T: Type + ParseFromJSON + ToJSON + Send + Sync> {
    /// Always `true`.
    success: Always<true>,
    /// The HTTP status.
    #[oai(validator(minimum(value = "200"), maximum(value = "299")))]
    code: i32,
    /// The result, for a person to read.
    #[oai(validator(max_length = 200))]
    message: String,
    /// The items of the page.
    #[oai(validator(max_items = 100))]
    data: Vec<T>,
    /// The place of the page in the list.
    pagination: Pagination,
}

/// The place of a page in a list.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Pagination {
    /// The number of the page, from 1.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    current_page: i32,
    /// The maximum number of items on a page.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    page_size: i32,
    /// The number of items on all pages.
    #[oai(validator(minimum(value = "0"), maximum(value = "2147483647")))]
    total_items: i32,
    /// The number of pages.
    #[oai(validator(minimum(value = "0"), maximum(value = "2147483647")))]
    total_pages: i32,
}

impl From<PageInfo> for Pagination {
    fn from(info: PageInfo) -> Self {
        let PageInfo { current, size, items } = info;
        let number = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
        Self {
            current_page: number(current.into()),
            page_size: number(size.into()),
            total_items: number(items),
            total_pages: number(info.pages()),
        }
    }
}

impl<T: Type + ParseFromJSON + ToJSON + Send + Sync> Page<T> {
    /// The success response of an operation that lists items.
    pub fn response<O: Operation<Body = Self>>(
        items: impl IntoIterator<Item = impl Into<T>>,
        info: PageInfo,
    ) -> OperationResponse<O> {
        let (status, message) = O::SUCCESS;
        OperationResponse::new(Self {
            success: Always,
            code: status.into(),
            message: message.to_owned(),
            data: items.into_iter().map(Into::into).collect(),
            pagination: info.into(),
        })
    }
}

parameter!(
    /// A class id in a path.
    ClassPath, { example: EXAMPLE_CLASS.into() }
);

impl ClassPath {
    /// The class id. Text that is not a UUID is the id of no class: 404.
    pub(super) fn known(&self) -> Result<ClassId, ApiError<ErrorCode>> {
        self.0.parse().map_err(|_| ApiError::documented(CLASS_NOT_FOUND))
    }
}

parameter!(
    /// A student id in a path.
    StudentPath, { example: EXAMPLE_STUDENT.into() }
);

impl StudentPath {
    /// The student id. Text that is not a UUID is the id of no student: 404.
    pub fn known(&self) -> Result<UserId, ApiError<ErrorCode>> {
        self.0.parse().map_err(|_| ApiError::documented(STUDENT_NOT_FOUND))
    }
}

text!(JoinCode, "JoinCode", JoinCode::parse, {
    min_length: JoinCode::LENGTH,
    max_length: JoinCode::LENGTH,
    pattern: "^[0-9B-DF-HJKMNP-TV-Z]*$".into(),
} shown JoinCode::expose);

text!(ClassName, "ClassName", ClassName::parse, {
    min_length: 1,
    max_length: ClassName::MAX,
} shown ClassName::as_str);

/// A time of this family: RFC 3339 in UTC, whole seconds, `Z`.
#[derive(Debug, Clone, Copy)]
pub struct Instant(pub DateTime<Utc>);

text!(Instant, "Instant", |text: &str| DateTime::parse_from_rfc3339(text).map(|at| Self(at.to_utc())), {
    format: "date-time",
    example: "2026-05-04T09:42:00Z".into(),
});

impl ToJSON for Instant {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_rfc3339_opts(SecondsFormat::Secs, true)))
    }
}

/// A date in UTC.
#[derive(Debug, Clone, Copy)]
pub struct Date(pub NaiveDate);

text!(Date, "Date", |text: &str| text.parse().map(Self), {
    format: "date",
    example: "2026-05-04".into(),
});

impl ToJSON for Date {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
}
