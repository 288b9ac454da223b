"""Tables in, figures and pages out: the only room with plotly."""
