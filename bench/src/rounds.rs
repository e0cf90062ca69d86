//! Rounds: every member takes one turn between two turns of the control, and ratios are taken within a round.

use std::fmt::Write as _;

use crate::Outcome;
use crate::generator::Report;
use crate::stats::median;

/// A round counts when the control's two turns differ by no more than this share of their mean.
const CONTROL_DRIFT_MAX: f64 = 0.05;
/// Below this many steady rounds a median means little; the table then says so.
const STEADY_ROUNDS_MIN: usize = 3;

/// One member's turn in one round.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// What a unit of work cost; the table's heading names both.
    pub cost: f64,
    /// The part of it in user space.
    pub user: f64,
    /// What the generator saw.
    pub report: Report,
}

/// One round: both turns of the control and one of every other member, in their fixed order.
#[derive(Debug)]
pub struct Round {
    /// The first and the last turn.
    pub control: [Turn; 2],
    /// The others, by position.
    pub turns: Vec<Turn>,
}

/// Who takes a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// The bare relay.
    Control,
    /// One of the others, by position.
    Other(usize),
}

/// All rounds of one scenario.
#[derive(Debug)]
pub struct Rounds {
    all: Vec<Round>,
}

impl Round {
    fn control_cost(&self) -> f64 {
        (self.control[0].cost + self.control[1].cost) / 2.0
    }

    fn is_steady(&self) -> bool {
        let moved = self.control[0].cost - self.control[1].cost;
        moved.abs() <= CONTROL_DRIFT_MAX * self.control_cost()
    }

    /// The turns of one member: two of the control, one of any other.
    fn turns_of(&self, member: Member) -> &[Turn] {
        match member {
            Member::Control => &self.control,
            Member::Other(position) => &self.turns[position..=position],
        }
    }

    fn cost_of(&self, member: Member) -> f64 {
        match member {
            Member::Control => self.control_cost(),
            Member::Other(position) => self.turns[position].cost,
        }
    }
}

impl Rounds {
    /// Runs `count` rounds of the control and `others` more, whose order rotates from round to round.
    ///
    /// # Errors
    /// A turn failed.
    pub fn run(
        count: usize,
        others: usize,
        mut turn: impl FnMut(Member) -> Outcome<Turn>,
    ) -> Outcome<Rounds> {
        let mut all = Vec::new();
        for index in 0..count {
            let first = turn(Member::Control)?;
            let mut turns = vec![None; others];
            for step in 0..others {
                let position = (index + step) % others;
                turns[position] = Some(turn(Member::Other(position))?);
            }
            let control = [first, turn(Member::Control)?];
            all.push(Round { control, turns: turns.into_iter().flatten().collect() });
        }
        Ok(Rounds { all })
    }

    /// The rounds that count, and a sentence about the others.
    #[must_use]
    pub fn kept(&self) -> (Vec<&Round>, String) {
        let steady: Vec<&Round> = self.all.iter().filter(|round| round.is_steady()).collect();
        let dropped = self.all.len() - steady.len();
        let (kept, note) = match steady.len() {
            0..STEADY_ROUNDS_MIN => (self.all.iter().collect(), " **(too few steady rounds: all are used)**"),
            _ => (steady, ""),
        };
        (kept, format!("{} rounds, {dropped} dropped because the control moved{note}.", self.all.len()))
    }
}

/// The turns of one member over `rounds`.
#[must_use]
pub fn turns_of(rounds: &[&Round], member: Member) -> Vec<Turn> {
    rounds.iter().flat_map(|round| round.turns_of(member)).copied().collect()
}

/// A table of costs: medians, and medians of the ratios within a round. `control` and `names`, the others in their
/// order, name the rows; the one called `towpath`, if it takes part, is compared with every row.
#[must_use]
pub fn cost_table(unit: &str, control: &str, names: &[&str], rounds: &[&Round]) -> String {
    let towpath = names.iter().position(|name| *name == "towpath").map(Member::Other);
    let (column, rule) = if towpath.is_some() { (" Towpath × this |", "---|") } else { ("", "") };
    let mut text = format!("| | {unit} | × {control} |{column} rounds |\n|---|---|---|{rule}---|\n");
    let members = std::iter::once((control, Member::Control))
        .chain(names.iter().enumerate().map(|(position, name)| (*name, Member::Other(position))));
    for (name, member) in members {
        let costs: Vec<f64> = rounds.iter().map(|round| round.cost_of(member)).collect();
        let against_control = ratio(rounds, member, Member::Control);
        let against =
            towpath.map_or(String::new(), |towpath| format!(" {:.2} |", ratio(rounds, towpath, member)));
        let list = costs.iter().map(|cost| format!("{cost:.1}")).collect::<Vec<_>>().join(" ");
        let _ = writeln!(text, "| {name} | {:.2} | {against_control:.2} |{against} {list} |", median(&costs));
    }
    text
}

/// The median over rounds of one member's cost divided by another's.
fn ratio(rounds: &[&Round], member: Member, by: Member) -> f64 {
    let ratios: Vec<f64> = rounds.iter().map(|round| round.cost_of(member) / round.cost_of(by)).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(cost: f64) -> Turn {
        Turn { cost, user: 0.0, report: Report::default() }
    }

    #[test]
    fn a_round_in_which_the_control_moved_is_not_steady() {
        assert!(Round { control: [turn(20.0), turn(20.9)], turns: vec![] }.is_steady());
        assert!(!Round { control: [turn(20.0), turn(21.5)], turns: vec![] }.is_steady());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let rounds = [
            Round { control: [turn(10.0), turn(10.0)], turns: vec![turn(11.0), turn(20.0)] },
            Round { control: [turn(20.0), turn(20.0)], turns: vec![turn(22.0), turn(44.0)] },
        ];
        let rounds: Vec<&Round> = rounds.iter().collect();
        let table = cost_table("µs", "control", &["towpath", "nginx"], &rounds);
        assert!(table.contains("| control | 15.00 | 1.00 | 1.10 |"), "{table}");
        assert!(table.contains("| nginx | 32.00 | 2.10 | 0.53 |"), "{table}");
    }

    #[test]
    fn the_control_comes_first_and_last_and_the_others_rotate() {
        let mut seen = Vec::new();
        let rounds = Rounds::run(2, 2, |member| {
            seen.push(member);
            Ok(turn(1.0))
        });
        let [a, b, control] = [Member::Other(0), Member::Other(1), Member::Control];
        assert_eq!(seen, [control, a, b, control, control, b, a, control]);
        assert_eq!(rounds.unwrap().kept().0.len(), 2);
    }
}
