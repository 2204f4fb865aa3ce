//! Uploaded files: the part `file` of a form (RFC 7578).

use std::{convert::Infallible, time::Duration};

use futures_util::stream;
use multer::{Multipart, parse_boundary};
use poem::{Request, RequestBody, Result, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
};

use super::body::{self, BodyError};

/// The media type of a form with files.
const MEDIA_TYPE: &str = "multipart/form-data";
/// The name of the part.
const PART: &str = "file";
/// The maximum number of bytes of a form besides the file: boundaries, headers and other parts.
const OTHER_PARTS: usize = 64 * 1024;
/// The maximum time in which a form must arrive. It is longer than that of a JSON body, because files are larger.
const MAX_ARRIVAL: Duration = Duration::from_secs(30);

/// The bytes of an uploaded file, at most `MAX`.
#[derive(Debug)]
pub struct FileUpload<const MAX: usize>(pub Vec<u8>);

impl<'a, const MAX: usize> ApiExtractor<'a> for FileUpload<MAX> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(_: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let file =
            MetaSchema { description: Some("The file."), ..MetaSchema::new_with_format("string", "binary") };
        let form = MetaSchema {
            properties: vec![(PART, MetaSchemaRef::Inline(Box::new(file)))],
            required: vec![PART],
            ..MetaSchema::new("object")
        };
        let schema = MetaSchemaRef::Inline(Box::new(form));
        let content = vec![MetaMediaType { content_type: MEDIA_TYPE, schema }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let mut types = request.headers().get_all(header::CONTENT_TYPE).iter();
        let (Some(media_type), None) = (types.next(), types.next()) else {
            return Err(BodyError::FormMediaType.into());
        };
        let boundary = media_type.to_str().ok().and_then(|media_type| parse_boundary(media_type).ok());
        let boundary = boundary.ok_or(BodyError::FormMediaType)?;
        let form = body::read_form(request, body, MAX + OTHER_PARTS, MAX_ARRIVAL).await;
        let form = form.map_err(|error| match error {
            BodyError::TooLarge => BodyError::FileTooLarge { max: MAX, line: None },
            error => error,
        })?;
        Ok(Self(file(form, boundary, MAX).await?))
    }
}

/// The only part with the name `file`. Other parts are ignored.
async fn file(form: Vec<u8>, boundary: String, max: usize) -> Result<Vec<u8>, BodyError> {
    let mut parts = Multipart::new(stream::iter([Ok::<_, Infallible>(form)]), boundary);
    let mut found = None;
    while let Some(part) = parts.next_field().await.map_err(|_| BodyError::Form)? {
        if part.name() != Some(PART) {
            continue;
        }
        let bytes = part.bytes().await.map_err(|_| BodyError::Form)?;
        if found.replace(bytes).is_some() {
            return Err(BodyError::FileCount);
        }
    }
    let bytes = found.ok_or(BodyError::FileCount)?;
    if bytes.len() > max {
        let line = bytes[..max].split(|byte| *byte == b'\n').count();
        return Err(BodyError::FileTooLarge { max, line: Some(line) });
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Content-Disposition: form-data; name=";

    async fn upload(media_type: &str, form: &str) -> Result<String, String> {
        let request = Request::builder().header("content-type", media_type).body(form.to_owned());
        let (request, mut body) = request.split();
        let upload =
            FileUpload::<10>::from_request(&request, &mut body, ExtractParamOptions::default()).await;
        let upload = upload.map_err(|error| error.downcast_ref::<BodyError>().unwrap().to_string());
        upload.map(|FileUpload(bytes)| String::from_utf8(bytes).unwrap())
    }

    #[tokio::test]
    async fn form_with_one_file_gives_its_bytes() {
        for form in [
            format!(
                "--b\r\n{HEAD}\"file\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\n1\r\n2\r\n--b--\r\n"
            ),
            format!("--b\r\n{HEAD}\"other\"\r\n\r\nx\r\n--b\r\n{HEAD}file\r\n\r\n1\r\n2\r\n--b--"),
        ] {
            assert_eq!(
                upload("multipart/form-data; boundary=b", &form).await,
                Ok("1\r\n2".to_owned()),
                "{form}"
            );
        }
    }

    #[tokio::test]
    async fn form_without_exactly_one_small_file_is_refused() {
        const TYPE: &str = "multipart/form-data; boundary=b";
        let file = |content: &str| format!("--b\r\n{HEAD}\"file\"\r\n\r\n{content}\r\n");
        for (media_type, form, expected) in [
            ("text/csv", file("1") + "--b--", "Content-Type must be multipart/form-data with a boundary"),
            (
                "multipart/form-data",
                file("1") + "--b--",
                "Content-Type must be multipart/form-data with a boundary",
            ),
            (
                "multipart/mixed; boundary=b",
                file("1") + "--b--",
                "Content-Type must be multipart/form-data with a boundary",
            ),
            (TYPE, String::new(), "the body is not a valid multipart form"),
            (TYPE, file("1"), "the body is not a valid multipart form"),
            (
                "multipart/form-data; boundary=c",
                file("1") + "--b--",
                "the body is not a valid multipart form",
            ),
            (
                TYPE,
                format!("--b\r\n{HEAD}\"other\"\r\n\r\nx\r\n--b--"),
                "the form must have exactly one part named file",
            ),
            (TYPE, file("1") + &file("2") + "--b--", "the form must have exactly one part named file"),
            (TYPE, file("1\n3\n5\n7\n9\n1") + "--b--", "file must have at most 10 bytes; line 6 goes beyond"),
            (TYPE, file(&"a".repeat(70_000)) + "--b--", "file must have at most 10 bytes"),
        ] {
            assert_eq!(upload(media_type, &form).await, Err(expected.to_owned()), "{form:.60}");
        }
    }
}
