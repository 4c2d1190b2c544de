"""One file for each thing that is measured: `run(bench)` gives its figures, `tables(figures)` shows them in Markdown,
`goals(figures)` holds them against the design's goals."""
