"""The worked examples of the design, from recorded events through to the statement. Figures are worked out by hand."""
