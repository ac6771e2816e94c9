"""From a truth to recordings and observables, with faults."""
