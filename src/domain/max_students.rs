//! The maximum number of active students of a class.

use sea_orm::DeriveValueType;

/// The maximum number of active students of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, DeriveValueType)]
pub struct MaxStudents(i32);

/// The number is no maximum of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from {} to {}", MaxStudents::LEAST, MaxStudents::GREATEST)]
pub struct InvalidMaxStudents;

impl MaxStudents {
    /// The least maximum.
    pub const LEAST: i32 = 1;
    /// The greatest maximum.
    pub const GREATEST: i32 = 10_000;

    /// Accepts a number from [`MaxStudents::LEAST`] to [`MaxStudents::GREATEST`].
    pub fn new(number: i64) -> Result<Self, InvalidMaxStudents> {
        let number = i32::try_from(number).map_err(|_| InvalidMaxStudents)?;
        if (Self::LEAST..=Self::GREATEST).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidMaxStudents)
        }
    }

    /// The number.
    pub fn get(self) -> i32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_students_is_from_1_to_10_000() {
        for number in [1, 30, 10_000] {
            assert_eq!(MaxStudents::new(number).map(|max| i64::from(max.get())), Ok(number));
        }
        for number in [i64::MIN, -1, 0, 10_001, i64::MAX] {
            assert_eq!(MaxStudents::new(number), Err(InvalidMaxStudents), "{number}");
        }
    }
}
