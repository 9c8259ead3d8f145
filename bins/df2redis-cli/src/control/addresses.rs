//! At which addresses the page, the metrics and the API are served.

use super::flags::ControlFlags;

/// Where the page is unless it is told otherwise.
pub(crate) const DEFAULT: &str = "127.0.0.1:9379";

/// An address to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// Somebody has named it: it is an error if it is taken.
    Named {
        /// The setting that names it.
        by: &'static str,
        at: String,
    },
    /// Nobody has: it may be taken by another run.
    Usual,
}

/// The addresses of a run. Each serves everything.
pub(crate) fn of(flags: &ControlFlags) -> Vec<Address> {
    let named =
        |by, at: &Option<String>| at.clone().filter(|at| !at.is_empty()).map(|at| Address::Named { by, at });
    let control = named("--control-addr", &flags.control_addr);
    let dashboard =
        named("--dashboard-addr", &flags.dashboard_addr).filter(|dashboard| match (dashboard, &control) {
            (Address::Named { at, .. }, Some(Address::Named { at: same, .. })) => at != same,
            _ => true,
        });
    let usual = flags.dashboard_addr.is_none() && control.is_none();
    control.into_iter().chain(dashboard).chain(usual.then_some(Address::Usual)).collect()
}

/// The address of a page of its own. It is an error if it is taken.
pub(crate) fn of_dashboard(flags: &ControlFlags) -> Vec<Address> {
    let at = flags.dashboard_addr.clone().filter(|at| !at.is_empty()).unwrap_or_else(|| DEFAULT.to_owned());
    vec![Address::Named { by: "--dashboard-addr", at }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_listener_serves_all_unless_two_are_named() {
        let addresses = of;
        let of = |control: Option<&str>, dashboard: Option<&str>| {
            let flags = ControlFlags {
                control_addr: control.map(str::to_owned),
                dashboard_addr: dashboard.map(str::to_owned),
                ..ControlFlags::default()
            };
            let shown = |address: Address| match address {
                Address::Named { by, at } => format!("{by} {at}"),
                Address::Usual => "usual".to_owned(),
            };
            addresses(&flags).into_iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(of(None, None), ["usual"]);
        assert_eq!(of(None, Some("")), [""; 0]);
        assert_eq!(of(Some(":1"), None), ["--control-addr :1"]);
        assert_eq!(of(Some(":1"), Some(":1")), ["--control-addr :1"]);
        assert_eq!(of(Some(":1"), Some(":2")), ["--control-addr :1", "--dashboard-addr :2"]);
        assert_eq!(of(Some(":1"), Some("")), ["--control-addr :1"]);
    }
}
