// How the page looks: light, dark, printed, narrow.
export const pageStyle = `
:root { color-scheme: light dark; --page: #fff; --ink: #1a1a1a; --soft: #555; --faint: #d9d9d9; --card: #f6f6f4; --link: #00568a; --good: #00664a; --bad: #a33c00; --more: #00568a; --open: #5a5a5a; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15181b; --ink: #e8e8e6; --soft: #b0b4b8; --faint: #3a4046; --card: #1f2428; --link: #7cc0ee; --good: #5fd0a8; --bad: #ff9d66; --more: #7cc0ee; --open: #b0b4b8; }
  .plot .series, .plot .key { filter: brightness(1.25); }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { font: 16px/1.55 system-ui, "DejaVu Sans", Verdana, sans-serif; margin: 0; color: var(--ink); background: var(--page); }
main { max-width: 1180px; margin: 0 auto; padding: 1rem 1rem 4rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .6rem 0; } h2 { font-size: 1.3rem; margin: 0 0 .6rem; } h3 { font-size: 1.05rem; }
section { padding-top: 1.6rem; margin-top: 1.6rem; border-top: 1px solid var(--faint); }
a { color: var(--link); }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; background: var(--page); padding: .3rem; }
.small { font-size: .85rem; color: var(--soft); } .question { font-style: italic; color: var(--soft); margin-top: 0; }
code { font-size: .85em; overflow-wrap: anywhere; }
.mark { border-left: 5px solid var(--bad); background: var(--card); padding: .5rem .9rem; font-weight: 600; } .mark ul { font-weight: 400; }
nav { font-size: .88rem; padding: .5rem 1rem; } nav ol { padding-left: 1.2rem; margin: .4rem 0; } nav a[aria-current] { font-weight: 700; color: var(--ink); }
@media (min-width: 1350px) { nav { position: fixed; left: 0; top: 0; width: 250px; max-height: 100vh; overflow-y: auto; padding-top: 1.5rem; } main { margin-left: 260px; } }
@media (max-width: 1349px) { nav { max-width: 1180px; margin: 0 auto; } }
.cards { list-style: none; padding: 0; display: grid; grid-template-columns: repeat(3, 1fr); gap: .8rem; } @media (max-width: 899px) { .cards { grid-template-columns: repeat(2, 1fr); } } @media (max-width: 479px) { .cards { grid-template-columns: 1fr; } }
.card { background: var(--card); border-top: 4px solid var(--open); padding: .7rem .9rem; border-radius: 4px; } .card p { margin: .35rem 0 0; font-size: .92rem; } .card .value { font-size: 1.05rem; font-weight: 700; } .card .small { font-size: .82rem; }
.card.good { border-color: var(--good); } .card.bad { border-color: var(--bad); } .card.more { border-color: var(--more); }
.w { font-weight: 700; white-space: nowrap; } .w.good { color: var(--good); } .w.bad { color: var(--bad); } .w.more { color: var(--more); } .w.open { color: var(--open); }
.filter button { font: inherit; font-size: .88rem; background: var(--card); border: 1px solid var(--faint); border-radius: 999px; padding: .25rem .75rem; margin: .15rem 0; cursor: pointer; } .filter button[aria-pressed="false"] { opacity: .75; text-decoration: line-through; background: var(--page); }
.scroll { overflow-x: auto; } details .scroll { max-height: 75vh; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; border-bottom: 1px solid var(--faint); text-align: left; vertical-align: top; }
th { position: sticky; top: 0; background: var(--card); } th button { font: inherit; font-weight: 700; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-align: inherit; } th[aria-sort] button::after { content: " ↓"; } th[aria-sort="ascending"] button::after { content: " ↑"; }
td.n, th.n { text-align: right; } td.n { white-space: nowrap; }
.beside > figure { margin-left: 0; margin-right: 0; }
@media (min-width: 1000px) { .beside { display: grid; grid-template-columns: minmax(230px, 27%) 1fr; gap: 1.6rem; } .beside > figure { margin: 0; } }
figure { margin: 1.2rem 0; } figcaption { font-size: .9rem; color: var(--soft); margin-top: .4rem; } figcaption b { color: var(--ink); } .links a { margin-left: .6rem; white-space: nowrap; }
.plot svg { width: 100%; height: auto; display: block; } .plot.narrow { display: none; }
@media (max-width: 599px) { #claims table, #claims tbody, #claims tr, #claims td { display: block; } #claims thead { display: none; } #claims tr { padding: .5rem 0; border-bottom: 1px solid var(--faint); } #claims tr[hidden] { display: none; } #claims td { border: 0; padding: .1rem 0; text-align: left; white-space: normal; } #claims td + td::before { content: attr(data-label) ": "; color: var(--soft); } .plot.wide { display: none; } .plot.narrow { display: block; } .plot.only { display: block; overflow-x: auto; } .plot.only svg { min-width: 34rem; } .switches { display: none; } }
.plot [data-t]:hover, .plot [data-t].on { stroke: var(--ink); stroke-width: 3; } .plot .off { display: none; }
details > summary { cursor: pointer; padding: .25rem 0; } .mark > summary { padding: 0; } .switches { font-size: .85rem; } .switches label { margin-right: .9rem; white-space: nowrap; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
#tip { position: absolute; z-index: 3; max-width: 20rem; background: var(--card); color: var(--ink); border: 1px solid var(--soft); border-radius: 4px; padding: .35rem .6rem; font-size: .85rem; pointer-events: none; }
@media print { nav, .switches, .filter, #tip, .skip { display: none; } main { margin: 0; max-width: none; padding: 0; } .scroll { max-height: none; overflow: visible; } figure, tr { break-inside: avoid; } }
`;
