//! The cutover of a run: one at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use dfly_cutover::{Cutover, Plan, Stage};
use dfly_replica::{Control, EngineConfig, Report};
use tokio::sync::watch;

use super::problems::Refusal;
use crate::wire::CutoverRequest;

/// The last cutover of a run, if there was one. Copies share it.
#[derive(Debug, Clone, Default)]
pub struct Cutovers(Arc<Mutex<Option<Last>>>);

#[derive(Debug)]
struct Last {
    stage: watch::Receiver<Stage>,
    release: watch::Sender<bool>,
}

fn plan(asked: &CutoverRequest) -> Result<Plan, Refusal> {
    let refused = |error: String| Refusal::new(StatusCode::BAD_REQUEST, "bad-cutover", error);
    let plan = Plan::default();
    let word = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Ok(Plan {
        method: word(&asked.method).map_or(Ok(plan.method), |text| text.parse()).map_err(refused)?,
        verify: word(&asked.verify).map_or(Ok(plan.verify), |text| text.parse()).map_err(refused)?,
        timeout: asked.timeout.map_or(plan.timeout, Duration::from_millis),
        patience: asked.patience.map_or(plan.patience, Duration::from_millis),
        is_dry: asked.dry_run,
        ..plan
    })
}

impl Cutovers {
    /// Begins one, unless another goes on.
    pub(super) fn begin(
        &self,
        (control, reports): (Control, watch::Receiver<Report>),
        config: &EngineConfig,
        asked: &CutoverRequest,
    ) -> Result<(), Refusal> {
        let plan = plan(asked)?;
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_some_and(|last| last.stage.borrow().is_running()) {
            let refusal = Refusal::new(StatusCode::CONFLICT, "cutover-runs", "a cutover goes on already");
            return Err(refusal.with_action("release it first"));
        }
        let (stage, shown) = watch::channel(Stage::default());
        let (release, released) = watch::channel(false);
        let cutover = Cutover { config: config.clone(), plan, control, reports, stage, released };
        tokio::spawn(cutover.run());
        *last = Some(Last { stage: shown, release });
        Ok(())
    }

    /// How far the last one has come.
    pub fn stage(&self) -> Option<Stage> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|last| last.stage.borrow().clone())
    }

    /// Ends the last one: writes go on. Gives what tells how far it has come.
    pub(super) fn release(&self) -> Option<watch::Receiver<Stage>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.as_ref()?;
        last.release.send_replace(true);
        Some(last.stage.clone())
    }
}
