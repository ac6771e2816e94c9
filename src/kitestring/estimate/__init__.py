"""Square-root least squares, editing and covariance."""
