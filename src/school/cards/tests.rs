//! The places on a page for names and addresses of every length.

use proptest::prelude::*;

use super::{
    layout::{Card, LayoutError, PAGE, PER_PAGE, Part, Sheet, Style, code, pages, width},
    pdf::render,
};
use crate::{
    domain::{email::Email, language::Language, word_password::WordPassword},
    random::OsRandom,
};

const LINK: &str = "https://school.example.com/join?code=7KQ2M9XD";

fn card(name: &str, user_name: &str) -> Card {
    Card {
        class: "Mathematik 1b".to_owned(),
        name: name.to_owned(),
        user_name: Email::parse(user_name).unwrap(),
        password: WordPassword::generate(&OsRandom),
        link: LINK.to_owned(),
    }
}

fn sheet(language: Language) -> Sheet {
    Sheet {
        school: Some("Grundschule am Park".to_owned()),
        page: "school.example.com/join".to_owned(),
        language,
    }
}

/// A rectangle: left, top, right, bottom.
type Area = [f32; 4];

/// What a part covers. A text is as high as its capital letters, with the marks above and the tails below them.
fn area(part: &Part) -> Option<Area> {
    match part {
        Part::Text { x, y, size, style, text } => {
            let height = size * 25.4 / 72.0;
            Some([*x, y - 0.8 * height, x + width(text, *size, *style).unwrap(), y + 0.25 * height])
        }
        Part::Line(_) => None,
        Part::Code { x, y, module, rows } => {
            let (quiet, side) = (4.0 * module, f32::from(u16::try_from(rows.len()).unwrap()) * module);
            Some([x - quiet, y - quiet, x + side + quiet, y + side + quiet])
        }
    }
}

fn overlap(one: Area, other: Area) -> bool {
    one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
}

/// Asserts that nothing covers anything else, and that all is on one card.
fn assert_apart(parts: &[Part]) {
    let areas: Vec<Area> = parts.iter().filter_map(area).collect();
    for (index, one) in areas.iter().enumerate() {
        assert!(one[0] >= 10.0 && one[2] <= PAGE.0 - 10.0 && one[1] >= 10.0 && one[3] < PAGE.1, "{parts:#?}");
        for other in &areas[index + 1..] {
            assert!(!overlap(*one, *other), "{one:?} {other:?} {parts:#?}");
        }
    }
}

#[test]
fn cards_of_long_names_have_no_overlap_in_any_language() {
    let long = "maximilianafriederike.vonschwarzenberger@students.gymnasium-musterstadt.example";
    let names = [
        ("Linh Nguyễn", "linh.nguyen@students.example.com"),
        ("Maximiliana-Friederike von Schwarzenberger-Hohenlohe", long),
        ("Nguyễn Hoàng Đặng Quỳnh Thảo Vy Ưỡng Ỷ Ằ Ẵ Ữ Ợ Ẫ Công Tằng Tôn Nữ", "a.b@s.example"),
        ("Иван Щербаков", "ivan.shcherbakov@students.example.com"),
        (&"W".repeat(201), &format!("{}@{}.example", "m".repeat(40), "w".repeat(30))),
        ("", "zz@s.example"),
        ("小龙 李", "xiaolong.li@students.example.com"),
        ("e\u{301}\u{302}\u{323}", "e@s.example"),
    ];
    for language in Language::ALL {
        let cards: Vec<Card> = names.iter().map(|(name, user_name)| card(name, user_name)).collect();
        let pages = pages(&cards, &sheet(language)).unwrap();
        assert_eq!(pages.len(), 1);
        assert_apart(&pages[0]);
    }
}

#[test]
fn page_has_eight_cards_and_a_class_begins_a_new_one() {
    let mut cards: Vec<Card> = (0..17).map(|_| card("Linh Nguyễn", "linh@s.example")).collect();
    for (number, expected) in [(1, 1), (PER_PAGE, 1), (PER_PAGE + 1, 2), (17, 3)] {
        assert_eq!(pages(&cards[..number], &sheet(Language::English)).unwrap().len(), expected, "{number}");
    }
    cards[1].class = "Musik".to_owned();
    assert_eq!(pages(&cards[..2], &sheet(Language::English)).unwrap().len(), 2);
}

#[test]
fn user_name_and_password_are_never_cut_off() {
    let cards =
        [card("Linh", "maximilianafriederike.vonschwarzenberger@students.gymnasium-musterstadt.example")];
    let pages = pages(&cards, &sheet(Language::Vietnamese)).unwrap();
    let texts = pages[0].iter().filter_map(|part| match part {
        Part::Text { text, style, .. } if *style != Style::Label => Some(text.as_str()),
        _ => None,
    });
    let printed: String = texts.collect();
    assert!(printed.contains(cards[0].user_name.as_str()), "{printed}");
    assert!(printed.contains(cards[0].password.expose()), "{printed}");
    let domain = format!("{}.example", "w".repeat(62));
    let refused = super::layout::pages(&[card("Linh", &format!("a@{domain}"))], &sheet(Language::English));
    assert!(matches!(refused, Err(LayoutError::UserNameTooLong)), "{refused:?}");
}

#[test]
fn code_of_a_long_address_is_refused() {
    let link = |length: usize| format!("https://{}", "a".repeat(length - 8));
    assert!(code(&link(213)).unwrap().len() <= 57);
    for length in [214, 2_000, 3_000] {
        assert!(matches!(code(&link(length)), Err(LayoutError::LinkTooLong)), "{length}");
    }
}

/// The modules of a code, for the independent decoder.
struct Modules(Vec<Vec<bool>>);

impl rqrr::BitGrid for Modules {
    fn size(&self) -> usize {
        self.0.len()
    }

    fn bit(&self, y: usize, x: usize) -> bool {
        self.0[y][x]
    }
}

#[test]
fn file_contains_no_password_that_can_be_searched() {
    let cards: Vec<Card> = (0..9).map(|_| card("Linh Nguyễn", "linh@s.example")).collect();
    let pdf = render(&cards, &sheet(Language::English)).unwrap();
    assert!(pdf.starts_with(b"%PDF-1."));
    let text = String::from_utf8_lossy(&pdf);
    assert_eq!(text.matches("/Type /Page\n").count() + text.matches("/Type/Page/").count(), 2);
    for card in &cards {
        let words: Vec<&str> = card.password.expose().split('-').collect();
        for pair in words.windows(2) {
            assert!(!text.contains(&pair.join("-")), "{pair:?}");
        }
        assert!(!text.contains(card.user_name.as_str()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn code_is_read_by_another_decoder(path in "[ -~]{0,150}", wide in "\\PC{0,10}") {
        let link = format!("https://school.example/{path}{wide}");
        let (_, read) = rqrr::Grid::new(Modules(code(&link).unwrap())).decode().unwrap();
        prop_assert_eq!(read, link);
    }

    #[test]
    fn card_of_any_name_has_no_overlap(
        name in "\\PC{0,80}", local in "[a-z0-9]{1,20}(\\.[a-z0-9]{1,19})?", domain in "[a-z]{1,20}(\\.[a-z]{1,15})?",
    ) {
        let cards = [card(&name, &format!("{local}@{domain}.example"))];
        assert_apart(&pages(&cards, &sheet(Language::German)).unwrap()[0]);
    }
}
