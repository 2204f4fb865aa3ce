//! The places of everything on a page of cards: eight on a page of A4, each with a first name, a user name and a password in letters for
//! beginning readers.

use std::{fmt::Write as _, sync::LazyLock};

use any_ascii::any_ascii;
use fast_qr::{ECL, QRBuilder, QRCode};
use rustybuzz::{Face, UnicodeBuffer};
use unicode_normalization::UnicodeNormalization;

use crate::domain::{email::Email, language::Language, word_password::WordPassword};

/// A4 in millimetres.
pub const PAGE: (f32, f32) = (210.0, 297.0);
/// Cards on a page.
pub const PER_PAGE: usize = COLUMNS * ROWS;

const COLUMNS: usize = 2;
const ROWS: usize = 4;
/// The margin of the page.
const MARGIN: f32 = 10.0;
const CARD: (f32, f32) = (95.0, 69.25);
/// The margin of a card.
const PADDING: f32 = 6.0;
/// The width of a text beside the QR code.
const BESIDE: f32 = QR_X - QUIET - PADDING;
/// The width of a text above or below it.
const FULL: f32 = CARD.0 - 2.0 * PADDING;

/// The width of the QR code without its quiet zone.
const QR: f32 = 24.0;
/// Four modules of the smallest code that occurs, and more of larger ones.
const QUIET: f32 = 4.0;
const QR_X: f32 = CARD.0 - PADDING - QR;
const QR_Y: f32 = 22.0;
/// The largest QR code whose modules a telephone still reads from a card: 57 modules are 0.42 mm wide.
const MAX_MODULES: usize = 57;

/// The length of a cut mark on each side of a corner.
const CUT_MARK: f32 = 4.0;
/// A point in millimetres.
const POINT: f32 = 25.4 / 72.0;

/// The files of the fonts, as their authors published them: the licence forbids changed ones under the same name.
pub static REGULAR: &[u8] = include_bytes!("fonts/Andika-Regular.ttf");
/// The same in bold.
pub static BOLD: &[u8] = include_bytes!("fonts/Andika-Bold.ttf");

static FACES: LazyLock<Option<[Face<'static>; 2]>> =
    LazyLock::new(|| Some([Face::from_slice(REGULAR, 0)?, Face::from_slice(BOLD, 0)?]));

/// A card.
#[derive(Debug, Clone)]
pub struct Card {
    /// The name of the class.
    pub class: String,
    /// First and last name.
    pub name: String,
    /// The user name.
    pub user_name: Email,
    /// The password.
    pub password: WordPassword,
    /// The address in the QR code.
    pub link: String,
}

/// What all cards have in common.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The name of the school.
    pub school: Option<String>,
    /// The address that students type.
    pub page: String,
    /// The language of the labels.
    pub language: Language,
}

/// Why the cards cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The address of the join page needs a QR code with too small modules.
    #[error("the join page is too long for a QR code on a card")]
    LinkTooLong,
    /// A user name does not fit.
    #[error("a user name is too long for a card")]
    UserNameTooLong,
    /// A font is damaged.
    #[error("a font is not readable")]
    Font,
}

/// Weight and colour of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Black.
    Plain,
    /// Black and bold.
    Bold,
    /// Grey.
    Label,
}

/// A part of a page. All lengths are millimetres from the top left corner, and sizes of fonts are points.
#[derive(Debug, Clone)]
pub enum Part {
    /// A line of text.
    Text {
        /// Its left end.
        x: f32,
        /// Its base line.
        y: f32,
        /// The size of the font.
        size: f32,
        /// The style.
        style: Style,
        /// The text.
        text: String,
    },
    /// A hairline.
    Line([(f32, f32); 2]),
    /// A QR code.
    Code {
        /// Its left edge.
        x: f32,
        /// Its upper edge.
        y: f32,
        /// The width of a module.
        module: f32,
        /// The modules, row by row. `true` is dark.
        rows: Vec<Vec<bool>>,
    },
}

/// The labels in a language.
struct Labels {
    user_name: &'static str,
    password: &'static str,
    open: &'static str,
    footer: &'static str,
}

impl Labels {
    fn of(language: Language) -> Self {
        match language {
            Language::English => Self {
                user_name: "User name",
                password: "Password",
                open: "Open",
                footer: "Cut, hand out, and destroy what is left.",
            },
            Language::German => Self {
                user_name: "Benutzername",
                password: "Passwort",
                open: "Öffnen",
                footer: "Ausschneiden, austeilen und den Rest vernichten.",
            },
            Language::Vietnamese => Self {
                user_name: "Tên đăng nhập",
                password: "Mật khẩu",
                open: "Mở trang",
                footer: "Cắt rời, phát cho học sinh và hủy phần còn lại.",
            },
        }
    }
}

/// The pages of the cards.
pub fn pages(cards: &[Card], sheet: &Sheet) -> Result<Vec<Vec<Part>>, LayoutError> {
    let faces = FACES.as_ref().ok_or(LayoutError::Font)?;
    let layout = Layout { faces, sheet, labels: Labels::of(sheet.language) };
    // Each class begins on a new page.
    let classes = cards.chunk_by(|one, next| one.class == next.class && one.link == next.link);
    classes.flat_map(|cards| cards.chunks(PER_PAGE)).map(|cards| layout.page(cards)).collect()
}

/// Whether a name is printed as it is. Otherwise its ASCII form is printed, because the font lacks a character.
pub fn has_glyphs(text: &str) -> bool {
    FACES.as_ref().is_some_and(|[_, bold]| has_glyphs_in(bold, text))
}

fn has_glyphs_in(face: &Face<'_>, text: &str) -> bool {
    text.nfc().all(|character| face.glyph_index(character).is_some())
}

/// The width of a line in millimetres. `None` if a font is damaged.
pub fn width(text: &str, size: f32, style: Style) -> Option<f32> {
    FACES.as_ref().map(|faces| width_in(faces, text, size, style))
}

fn width_in(faces: &[Face<'static>; 2], text: &str, size: f32, style: Style) -> f32 {
    let face = &faces[usize::from(style == Style::Bold)];
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(text);
    buffer.guess_segment_properties();
    let shaped = rustybuzz::shape(face, &[], buffer);
    let advance: i32 = shaped.glyph_positions().iter().map(|position| position.x_advance).sum();
    #[expect(clippy::cast_precision_loss, reason = "a line is far shorter than 2^24 units")]
    let (advance, em) = (advance as f32, face.units_per_em() as f32);
    advance / em * size * POINT
}

/// A QR code with error correction M, row by row.
pub fn code(link: &str) -> Result<Vec<Vec<bool>>, LayoutError> {
    let code: QRCode = QRBuilder::new(link).ecl(ECL::M).build().map_err(|_| LayoutError::LinkTooLong)?;
    if code.size > MAX_MODULES {
        return Err(LayoutError::LinkTooLong);
    }
    Ok((0..code.size).map(|row| code[row].iter().map(|module| module.value()).collect()).collect())
}

struct Layout<'l> {
    faces: &'l [Face<'static>; 2],
    sheet: &'l Sheet,
    labels: Labels,
}

/// A card that is filled, with its place on the page.
struct Place {
    x: f32,
    y: f32,
    parts: Vec<Part>,
}

impl Place {
    fn text(&mut self, y: f32, size: f32, style: Style, text: impl Into<String>) {
        self.text_at(PADDING, y, size, style, text);
    }

    fn text_at(&mut self, x: f32, y: f32, size: f32, style: Style, text: impl Into<String>) {
        self.parts.push(Part::Text { x: self.x + x, y: self.y + y, size, style, text: text.into() });
    }
}

impl Layout<'_> {
    fn page(&self, cards: &[Card]) -> Result<Vec<Part>, LayoutError> {
        let mut parts = Vec::new();
        let (mut x, mut y) = (MARGIN, MARGIN);
        for (index, card) in cards.iter().enumerate() {
            let mut place = Place { x, y, parts: Vec::new() };
            self.card(&mut place, card)?;
            parts.extend(place.parts);
            if index % COLUMNS == COLUMNS - 1 {
                (x, y) = (MARGIN, y + CARD.1);
            } else {
                x += CARD.0;
            }
        }
        cut_marks(&mut parts);
        let text = self.labels.footer.to_owned();
        parts.push(Part::Text { x: MARGIN + PADDING, y: PAGE.1 - 5.0, size: 8.0, style: Style::Label, text });
        Ok(parts)
    }

    fn card(&self, place: &mut Place, card: &Card) -> Result<(), LayoutError> {
        let mut header = self.sheet.school.clone().unwrap_or_default();
        let separator = if header.is_empty() { "" } else { "  ·  " };
        _ = write!(header, "{separator}{}", card.class);
        let (size, header) = self.fitting(&self.printable(&header), FULL, Style::Label, 9.0, 7.0);
        place.text(8.0, size, Style::Label, header);

        self.name(place, &self.printable(&card.name));
        place.text(25.5, 9.0, Style::Label, self.labels.user_name);
        let last = self.user_name(place, card.user_name.as_str())?;

        // Behind the last line of a long user name, and outside the quiet zone of the QR code.
        let label = (last + 6.0).max(46.0);
        place.text(label, 9.0, Style::Label, self.labels.password);
        self.password(place, label.max(47.0) + 7.0, card.password.expose());

        let bottom = CARD.1 - 5.5;
        place.text(bottom, 9.0, Style::Label, self.labels.open);
        let x = PADDING + self.width(self.labels.open, 9.0, Style::Label) + 2.0;
        let (size, page) = self.fitting(&self.sheet.page, PADDING + FULL - x, Style::Plain, 9.0, 6.0);
        place.text_at(x, bottom, size, Style::Plain, page);

        let rows = code(&card.link)?;
        #[expect(clippy::cast_precision_loss, reason = "a QR code has at most 177 modules")]
        let module = QR / rows.len() as f32;
        place.parts.push(Part::Code { x: place.x + QR_X, y: place.y + QR_Y, module, rows });
        Ok(())
    }

    /// One line, or two smaller ones.
    fn name(&self, place: &mut Place, name: &str) {
        let (size, text) = self.fitting(name, FULL, Style::Bold, 16.0, 12.0);
        if text == name {
            return place.text(16.0, size, Style::Bold, text);
        }
        let (first, second) = halves(name, ' ');
        for (y, line) in [(13.2, first), (18.0, second)] {
            let (size, line) = self.fitting(line.trim(), FULL, Style::Bold, 11.0, 8.0);
            place.text(y, size, Style::Bold, line);
        }
    }

    /// One line, or the domain on a line of its own. Returns the base line of the last one. Nothing is cut off.
    fn user_name(&self, place: &mut Place, address: &str) -> Result<f32, LayoutError> {
        const TOP: f32 = 31.5;
        if self.width(address, 13.0, Style::Plain) <= BESIDE {
            place.text(TOP, 13.0, Style::Plain, address);
            return Ok(TOP);
        }
        let (local, domain) = address.split_at(address.rfind('@').unwrap_or(address.len()));
        let mut lines: Vec<&str> = Vec::new();
        for (part, least) in [(local, 10.0), (domain, 8.0)] {
            if self.width(part, least, Style::Plain) <= BESIDE {
                lines.push(part);
            } else {
                let (first, second) = halves(part, '.');
                lines.extend([first, second]);
            }
        }
        let (pitch, largest): (f32, f32) = if lines.len() > 3 { (3.9, 10.0) } else { (4.9, 13.0) };
        let mut y = TOP - pitch;
        for line in lines {
            let largest = if line.starts_with('@') { largest.min(11.0) } else { largest };
            let (size, text) = self.fitting(line, BESIDE, Style::Plain, largest, 6.5);
            if text != line {
                return Err(LayoutError::UserNameTooLong);
            }
            y += pitch;
            place.text(y, size, Style::Plain, text);
        }
        Ok(y)
    }

    /// One line, so that no hyphen looks like one of a divided word. Nothing is cut off.
    fn password(&self, place: &mut Place, y: f32, password: &str) {
        let (size, text) = self.fitting(password, FULL, Style::Bold, 17.0, 12.0);
        if text == password {
            return place.text(y, size, Style::Bold, text);
        }
        let (first, second) = halves(password, '-');
        place.text(y - 3.0, 12.0, Style::Bold, first);
        place.text(y + 2.0, 12.0, Style::Bold, second);
    }

    /// The text, in the largest font in which it fits. If not even the smallest suffices, the end is cut off.
    fn fitting(&self, text: &str, width: f32, style: Style, largest: f32, smallest: f32) -> (f32, String) {
        let natural = self.width(text, largest, style);
        let size = if natural > width { largest * width / natural } else { largest };
        if size >= smallest {
            return (size, text.to_owned());
        }
        let mut cut: String = text.to_owned();
        while cut.pop().is_some() {
            let shortened = format!("{}…", cut.trim_end());
            if self.width(&shortened, smallest, style) <= width {
                return (smallest, shortened);
            }
        }
        (smallest, String::new())
    }

    fn width(&self, text: &str, size: f32, style: Style) -> f32 {
        width_in(self.faces, text, size, style)
    }

    /// The text, or its ASCII form if the font lacks a character.
    fn printable(&self, text: &str) -> String {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).nfc().collect();
        if has_glyphs_in(&self.faces[1], &text) { text } else { any_ascii(&text) }
    }
}

/// Two parts of about the same length. The second one begins with `separator`, if the text has one.
fn halves(text: &str, separator: char) -> (&str, &str) {
    let middle = text.len() / 2;
    let ends = text.char_indices().filter(|(at, c)| *c == separator && *at > 0).map(|(at, _)| at);
    let end = ends
        .min_by_key(|at| at.abs_diff(middle))
        .unwrap_or_else(|| (middle..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len()));
    text.split_at(end)
}

/// Marks at the corners of all cards.
fn cut_marks(parts: &mut Vec<Part>) {
    #[expect(clippy::cast_precision_loss, reason = "a page has a few cards")]
    let places = |count: usize, width: f32| (0..=count).map(move |at| MARGIN + at as f32 * width);
    for y in places(ROWS, CARD.1) {
        for x in places(COLUMNS, CARD.0) {
            parts.push(Part::Line([(x - CUT_MARK, y), (x + CUT_MARK, y)]));
            parts.push(Part::Line([(x, y - CUT_MARK), (x, y + CUT_MARK)]));
        }
    }
}
