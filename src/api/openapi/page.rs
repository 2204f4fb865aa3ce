//! The page that shows the document: Swagger UI, as poem-openapi brings it.

use poem_openapi::OpenApiService;

use crate::http::{html_page::html_page, static_body::StaticBody};

/// The beginning of poem-openapi's page.
const ORIGINAL_HEAD: &str = "\n<html charset=\"UTF-8\">\n<head>\n    <meta http-equiv=\"Content-Type\" \
    content=\"text/html;charset=utf-8\">\n    <title>Swagger UI</title>\n";

/// The beginning of the served page: in standards mode, with a language, and without a request for an icon.
const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n    <meta charset=\"utf-8\">\n    \
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n    \
    <title>Homeroom</title>\n    <link rel=\"icon\" href=\"data:,\">\n";

/// The page of the document `json`.
pub(super) fn page(json: &str) -> StaticBody {
    let empty = OpenApiService::new((), "", "");
    // `</` would end the script element that holds the document.
    let json = json.replace("</", "<\\/");
    let page = empty.swagger_ui_html().replacen(&empty.spec(), &json, 1);
    html_page(page.replacen(ORIGINAL_HEAD, HEAD, 1))
}
