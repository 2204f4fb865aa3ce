//! What left: rows of earlier imports that are not in the files.

use std::collections::{BTreeMap, HashSet};

use sea_orm::ActiveValue::Set;

use super::{
    existing::Existing,
    model::Roster,
    plan::{ClassStep, Ending, Plan},
    report::{Change, Kind},
};
use crate::{
    domain::{
        id::{ClassId, UserId},
        sourced_id::SourcedId,
    },
    entity::{class, enrollment},
};

/// The rows of earlier imports that are in use.
pub(super) struct InUse<'e> {
    users: BTreeMap<&'e SourcedId, UserId>,
    classes: BTreeMap<&'e SourcedId, &'e class::Model>,
    enrollments: Vec<&'e enrollment::Model>,
}

impl<'e> InUse<'e> {
    pub(super) fn of(existing: &'e Existing) -> Self {
        let users = existing.users.values().filter(|user| user.school_account && user.enabled);
        let classes = existing.classes.values().filter(|class| class.is_active);
        let enrollments = existing.enrollments.values();
        Self {
            users: users.filter_map(|user| Some((user.sourced_id.as_ref()?, user.id))).collect(),
            classes: classes.filter_map(|class| Some((class.sourced_id.as_ref()?, class))).collect(),
            enrollments: enrollments
                .filter(|row| row.sourced_id.is_some() && super::plan::is_active(row))
                .collect(),
        }
    }

    /// Adds what left to the plan.
    pub(super) fn leave(&self, existing: &Existing, roster: &Roster, plan: &mut Plan) {
        let present: HashSet<ClassId> =
            roster.classes.keys().filter_map(|id| existing.classes.get(id)).map(|class| class.id).collect();
        let mut steps: BTreeMap<ClassId, ClassStep> = BTreeMap::new();
        for (id, class) in self.classes.iter().filter(|(id, _)| !roster.classes.contains_key(**id)) {
            let mut step = ClassStep::unchanged(class.id, (*id).clone());
            let columns =
                class::ActiveModel { is_active: Set(false), left_roster: Set(true), ..Default::default() };
            step.columns = Some(Box::new(columns));
            steps.insert(class.id, step);
            plan.report.record(Kind::Class, id, Change::Ended, Vec::new());
        }
        for row in self.enrollments.iter().filter(|row| !present.contains(&row.class_id)) {
            let Some(own_id) = &row.sourced_id else { continue };
            let step = || ClassStep::unchanged(row.class_id, own_id.clone());
            steps.entry(row.class_id).or_insert_with(step).dropped.push(row.id);
            plan.report.record(Kind::Enrollment, own_id, Change::Ended, Vec::new());
        }
        plan.classes.extend(steps.into_values());
        for (id, user) in self.users.iter().filter(|(id, _)| !roster.present.contains(**id)) {
            plan.left.push(*user);
            plan.report.record(Kind::User, id, Change::Ended, Vec::new());
        }
    }

    /// The tables of which more than this part would end.
    pub(super) fn excess(&self, plan: &Plan, percent: u8, few: usize) -> Vec<Ending> {
        let active = [self.users.len(), self.classes.len(), self.enrollments.len()];
        let endings = Kind::ALL.into_iter().zip(active).map(|(kind, active)| {
            let ended = plan.report.count(kind, Change::Ended);
            Ending { kind, ended, active }
        });
        let is_excess = |Ending { ended, active, .. }: &Ending| {
            percent < 100 && *ended > few && ended * 100 > active * usize::from(percent)
        };
        endings.filter(is_excess).collect()
    }
}
