//! Jobs over a real lake and the simulated network: started, paused, resumed, cancelled, and over a restart.

