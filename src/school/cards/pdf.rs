//! Writes pages as a PDF file.

use krilla::{
    Document,
    color::luma,
    geom::{PathBuilder, Point, Rect},
    metadata::Metadata,
    page::PageSettings,
    paint::{Fill, Stroke},
    surface::Surface,
    text::{Font, TextDirection},
};

use super::layout::{self, BOLD, Card, LayoutError, PAGE, Part, REGULAR, Sheet, Style};

/// Points in a millimetre.
const MILLIMETRE: f32 = 72.0 / 25.4;
/// The width of a hairline.
const HAIRLINE: f32 = 0.25;
/// The lightness of labels. It is dark enough for the contrast that WCAG 2.2 demands.
const GREY: u8 = 96;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// Something does not fit.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The file could not be made.
    #[error("the PDF file could not be made: {0}")]
    Pdf(String),
}

/// The cards as a PDF file, eight on a page.
pub fn render(cards: &[Card], sheet: &Sheet) -> Result<Vec<u8>, RenderError> {
    let fonts = Fonts::load().ok_or(LayoutError::Font)?;
    let size = PageSettings::from_wh(PAGE.0 * MILLIMETRE, PAGE.1 * MILLIMETRE).ok_or(LayoutError::Font)?;
    let mut document = Document::new();
    let metadata = Metadata::new().language(sheet.language.tag().to_owned()).creator("Homeroom".to_owned());
    document.set_metadata(metadata);
    for parts in layout::pages(cards, sheet)? {
        let mut page = document.start_page_with(size.clone());
        let mut surface = page.surface();
        for part in parts {
            draw(&mut surface, &fonts, part);
        }
        surface.finish();
        page.finish();
    }
    document.finish().map_err(|error| RenderError::Pdf(format!("{error:?}")))
}

struct Fonts {
    regular: Font,
    bold: Font,
}

impl Fonts {
    fn load() -> Option<Self> {
        Some(Self { regular: Font::new(REGULAR.into(), 0)?, bold: Font::new(BOLD.into(), 0)? })
    }
}

fn grey(lightness: u8) -> Fill {
    Fill { paint: luma::Color::new(lightness).into(), ..Fill::default() }
}

fn draw(surface: &mut Surface<'_>, fonts: &Fonts, part: Part) {
    match part {
        Part::Text { x, y, size, style, text } => {
            let font = if style == Style::Bold { &fonts.bold } else { &fonts.regular };
            surface.set_stroke(None);
            surface.set_fill(Some(grey(if style == Style::Label { GREY } else { 0 })));
            let start = Point::from_xy(x * MILLIMETRE, y * MILLIMETRE);
            surface.draw_text(start, font.clone(), size, &text, false, TextDirection::Auto);
        }
        Part::Line(ends) => {
            let [(from_x, from_y), (to_x, to_y)] = ends.map(|(x, y)| (x * MILLIMETRE, y * MILLIMETRE));
            let mut line = PathBuilder::new();
            line.move_to(from_x, from_y);
            line.line_to(to_x, to_y);
            surface.set_fill(None);
            surface.set_stroke(Some(Stroke {
                paint: luma::Color::new(GREY).into(),
                width: HAIRLINE,
                ..Stroke::default()
            }));
            if let Some(line) = line.finish() {
                surface.draw_path(&line);
            }
        }
        Part::Code { x, y, module, rows } => {
            surface.set_stroke(None);
            surface.set_fill(Some(grey(0)));
            if let Some(path) = modules(x * MILLIMETRE, y * MILLIMETRE, module * MILLIMETRE, &rows) {
                surface.draw_path(&path);
            }
        }
    }
}

/// The dark modules as one path, so that no light line appears between neighbours.
fn modules(x: f32, y: f32, module: f32, rows: &[Vec<bool>]) -> Option<krilla::geom::Path> {
    let mut path = PathBuilder::new();
    let mut top = y;
    for row in rows {
        let mut left = x;
        for run in row.chunk_by(|one, next| one == next) {
            #[expect(clippy::cast_precision_loss, reason = "a QR code has at most 177 modules")]
            let width = run.len() as f32 * module;
            if run[0]
                && let Some(dark) = Rect::from_xywh(left, top, width, module)
            {
                path.push_rect(dark);
            }
            left += width;
        }
        top += module;
    }
    path.finish()
}
