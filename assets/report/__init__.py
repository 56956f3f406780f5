"""The report: one HTML file, without network, of what was used, what it costs and what is at risk.

Each section is a query of queries/, over the read copy alone; page.html, page.css and page.js show
their rows. The chart is drawn by Apache ECharts (echarts.common.min.js, 6.1.0, Apache-2.0).
"""
