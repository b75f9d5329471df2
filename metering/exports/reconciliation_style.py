"""How the page of a reconciliation looks: quiet, in light and dark, and on paper."""

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--dim:#667085;--ground:#fbfbfa;--panel:#fff;--line:#e4e6ea;--total:#33415c;
--more:#d9822b;--less:#2a8f82;--unknown:#8a8fa0;--good:#1f7a4d;--bad:#b42318;--soft:#f2f3f5}
@media (prefers-color-scheme:dark){:root{--ink:#e7e9ee;--dim:#98a2b3;--ground:#14171c;--panel:#1b2027;--line:#2d343e;
--total:#8fa3c7;--more:#e8a35c;--less:#4fb8a9;--unknown:#9aa0b0;--good:#5cc08d;--bad:#f28b82;--soft:#242a33}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:48px 28px 64px}
header p{color:var(--dim);margin:6px 0 0;max-width:70ch}
.eyebrow{text-transform:uppercase;letter-spacing:.08em;font-size:12px;margin:0}
h1{font-size:34px;line-height:1.15;margin:4px 0 0;letter-spacing:-.02em;overflow-wrap:anywhere}
h2{font-size:17px;margin:44px 0 14px;letter-spacing:-.01em}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(178px,1fr));gap:12px;margin-top:28px}
.card{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.card p{margin:0;color:var(--dim);font-size:13px}
.card strong{display:block;font-size:21px;font-weight:620;margin:2px 0;letter-spacing:-.015em;overflow-wrap:anywhere;
font-variant-numeric:tabular-nums}
.card small{font-size:13px;font-weight:400;color:var(--dim);letter-spacing:0}
.card.good strong,.card.even strong{color:var(--good)}.card.bad strong{color:var(--bad)}.card.uneven strong{color:var(--more)}
figure{margin:0;background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:18px 20px;overflow-x:auto}
.waterfall{width:100%;min-width:720px;height:auto;display:block;font-variant-numeric:tabular-nums}
.waterfall text{fill:var(--ink);font-size:14px}.waterfall .note{fill:var(--dim);font-size:12px}
.waterfall .strong{font-weight:620}
.waterfall .axis{stroke:var(--line)}.waterfall .link{stroke:var(--dim);stroke-dasharray:2 3;opacity:.7}
.bar.total{fill:var(--total)}.bar.more{fill:var(--more)}.bar.less{fill:var(--less)}.bar.unexplained{fill:url(#hatch)}
.hatch-ground{fill:var(--soft)}.hatch-line{fill:var(--unknown)}
.wide{overflow-x:auto;background:var(--panel);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-size:12px;font-weight:600;color:var(--dim);text-align:left;white-space:nowrap}
th,td{padding:10px 14px;vertical-align:top;border-bottom:1px solid var(--line)}
tbody tr:last-child td{border-bottom:0}
.n{text-align:right;white-space:nowrap}
.dim{color:var(--dim);font-size:13px}
.tag,.state{display:inline-block;border-radius:999px;padding:1px 9px;font-size:12px;background:var(--soft);color:var(--dim);
white-space:nowrap}
.state.open{background:color-mix(in srgb,var(--bad) 14%,transparent);color:var(--bad)}
.state.disputed{background:color-mix(in srgb,var(--more) 18%,transparent);color:var(--more)}
.state.accepted,.state.resolved,.state.explained{background:color-mix(in srgb,var(--good) 14%,transparent);color:var(--good)}
.none{color:var(--good)}
footer{margin-top:40px;color:var(--dim);font-size:13px}footer p,footer ul{max-width:90ch}code{overflow-wrap:anywhere}
@media print{body{background:#fff}main{padding:0}.card,figure,.wide{break-inside:avoid}}
"""
