"""The one forward model: time, frames, ephemeris, stations, sources, delay, Doppler."""
