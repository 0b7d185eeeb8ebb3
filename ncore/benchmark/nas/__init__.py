"""The benchmark's other setting: cells of NAS-Bench-201, their training, their scores, and how well either ranks."""
