//! Lanes: who may work one, what it files next, what KRA answered, and what a person decides.

pub(crate) mod adoption;
pub(crate) mod advice;
pub(crate) mod contradiction;
pub(crate) mod death;
pub(crate) mod evidence;
pub(crate) mod failure_run;
pub(crate) mod gauges;
pub(crate) mod halt_by_hand;
pub(crate) mod hold;
pub(crate) mod hosts;
pub(crate) mod lane_values;
pub(crate) mod late_look_ups;
pub(crate) mod leases;
pub(crate) mod resolve;
pub(crate) mod resolve_accepted;
pub(crate) mod resolve_through;
pub(crate) mod set_aside;
pub(crate) mod settle;
pub(crate) mod share_split;
pub(crate) mod shares;
pub(crate) mod status;
pub(crate) mod submissions;
pub(crate) mod verification;
pub(crate) mod wake;
pub(crate) mod wake_ups;
pub(crate) mod work;
