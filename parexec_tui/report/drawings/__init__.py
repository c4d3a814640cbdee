"""Drawings as SVG: what the pages of reports show. They take their colours from the page, or from `svg.STYLE`."""
