"""Forces, propagation and the state-transition matrix."""
