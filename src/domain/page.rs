//! Pages of a list.

/// A requested page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// The number of the page, from 1.
    pub page: u32,
    /// The number of items on a page.
    pub size: u32,
}

impl PageRequest {
    /// The number of items on earlier pages.
    pub fn offset(self) -> u64 {
        u64::from(self.page.saturating_sub(1)) * u64::from(self.size)
    }

    /// The description of this page of a list with so many items.
    pub fn of(self, items: u64) -> PageInfo {
        PageInfo { current: self.page, size: self.size, items }
    }
}

/// A page of a list, without its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageInfo {
    /// The number of the page, from 1.
    pub current: u32,
    /// The maximum number of items on a page.
    pub size: u32,
    /// The number of items on all pages.
    pub items: u64,
}

impl PageInfo {
    /// The number of pages.
    pub fn pages(self) -> u64 {
        self.items.div_ceil(u64::from(self.size.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_begins_after_the_items_of_earlier_pages_and_the_last_one_may_be_short() {
        for (page, size, items, offset, pages) in [
            (1, 10, 0, 0, 0),
            (1, 10, 1, 0, 1),
            (2, 10, 10, 10, 1),
            (3, 7, 25, 14, 4),
            (1_000_000, 100, 1, 99_999_900, 1),
        ] {
            let request = PageRequest { page, size };
            assert_eq!((request.offset(), request.of(items).pages()), (offset, pages), "{request:?}");
        }
    }
}
