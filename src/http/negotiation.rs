//! Content negotiation (RFC 9110 section 12): which of two representations a client prefers.

use poem::http::{HeaderMap, HeaderName, header};

/// A weight in thousandths, from 0 (not acceptable) to 1000.
type Weight = u16;

/// Whether to send the gzip form of a body that exists in both forms. If the client accepts neither, its header is ignored, as
/// RFC 9110 section 12.4.1 allows, and the plain form is sent.
pub fn prefers_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for (coding, weight) in weighted(headers, &header::ACCEPT_ENCODING) {
        let named = match coding.as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "identity" => &mut identity,
            "*" => &mut any,
            _ => continue,
        };
        *named = Some(weight);
    }
    match (gzip.or(any), identity.or(any)) {
        (Some(0), _) => false,
        (Some(gzip), identity) => gzip >= identity.unwrap_or(0),
        // The plain form is acceptable unless its weight is 0.
        (None, identity) => identity == Some(0),
    }
}

/// Whether to send HTML for a resource that exists as HTML and as JSON. JSON is sent if both have the same weight, as for `*/*`.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let ranges: Vec<(String, Weight)> = weighted(headers, &header::ACCEPT).collect();
    // The most specific range decides (RFC 9110 section 12.5.1).
    let weight = |specific: [&str; 3]| {
        let of = |name: &str| ranges.iter().find(|(range, _)| range == name).map(|(_, weight)| *weight);
        specific.into_iter().find_map(of).unwrap_or(0)
    };
    weight(["text/html", "text/*", "*/*"]) > weight(["application/json", "application/*", "*/*"])
}

/// The members of a weighted list header, in lower case. A member with an invalid weight is left out.
fn weighted(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = (String, Weight)> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let value = parts.next().filter(|value| !value.is_empty())?.to_ascii_lowercase();
        let weight = parts.find_map(|parameter| {
            let (name, weight) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| weight.trim())
        });
        Some((value, weight.map_or(Some(1000), parse_weight)?))
    })
}

/// Parses a weight (RFC 9110 section 12.4.2): from 0 to 1, with at most three decimals.
fn parse_weight(text: &str) -> Option<Weight> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let plain = decimals.len() <= 3 && decimals.bytes().all(|digit| digit.is_ascii_digit());
    let thousandths: Weight = format!("{decimals:0<3}").parse().ok().filter(|_| plain)?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn accept_encoding_with_weights_selects_the_coding() {
        let gzip: [&[&str]; 15] = [
            &["gzip"],
            &["GZIP"],
            &["x-gzip"],
            &["gzip, deflate, br, zstd"],
            &["br;q=1.0, gzip;q=0.8, *;q=0.1"],
            &["gzip;q=0.001"],
            &["gzip ; q=0.5"],
            &["gzip;Q=1.000"],
            &["*"],
            &["*;q=0.5"],
            &["identity;q=0"],
            &["identity;q=0.5, *"],
            &["gzip, *;q=0"],
            &["deflate", "gzip"],
            &["gzip, identity"],
        ];
        for lines in gzip {
            assert!(prefers_gzip(&headers(&header::ACCEPT_ENCODING, lines)), "{lines:?}");
        }
        let plain: [&[&str]; 16] = [
            &[],
            &[""],
            &["identity"],
            &["br"],
            &["gzip;q=0"],
            &["gzip;q=0.0"],
            &["gzip;q=0.000, *"],
            &["*;q=0"],
            &["gzip;q=0, identity;q=0"],
            &["gzip;q=0.5, identity"],
            &["identity;q=0.5, gzip;q=0.4"],
            // These weights are not valid.
            &["gzip;q=2"],
            &["gzip;q=-1"],
            &["gzip;q=0.0001"],
            &["gzip;q=a"],
            &["gzip;q="],
        ];
        for lines in plain {
            assert!(!prefers_gzip(&headers(&header::ACCEPT_ENCODING, lines)), "{lines:?}");
        }
    }

    #[test]
    fn accept_of_a_browser_selects_html_and_of_a_program_json() {
        let html: [&[&str]; 6] = [
            &["text/html"],
            &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
            &["text/*"],
            &["application/json;q=0.5, text/html;level=1;q=0.6"],
            &["*/*;q=0.1", "TEXT/HTML"],
            &["application/*;q=0, */*"],
        ];
        for lines in html {
            assert!(prefers_html(&headers(&header::ACCEPT, lines)), "{lines:?}");
        }
        let json: [&[&str]; 10] = [
            &[],
            &[""],
            &["*/*"],
            &["application/json"],
            &["application/json, text/html"],
            &["application/json, text/plain, */*"],
            &["text/html;q=0"],
            &["text/html;q=0, */*"],
            &["image/png"],
            &["text/plain"],
        ];
        for lines in json {
            assert!(!prefers_html(&headers(&header::ACCEPT, lines)), "{lines:?}");
        }
    }
}
