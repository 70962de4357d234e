// What runs in the reader's browser: figures that show values under the pointer and whose series can
// be switched off. Kept as text: the page is one file and knows no module.

export const clientScript = `
'use strict';
(function () {
  var tip = document.getElementById('tip');
  function showTip(handler, event, item, value) {
    if (value === null || value === undefined || value === '') { tip.hidden = true; return; }
    tip.textContent = '';
    Object.keys(value).forEach(function (key) {
      var line = document.createElement('div');
      var name = document.createElement('b');
      name.textContent = key + ': ';
      line.appendChild(name);
      line.appendChild(document.createTextNode(String(value[key])));
      tip.appendChild(line);
    });
    tip.style.left = (event.pageX + 14) + 'px';
    tip.style.top = (event.pageY + 14) + 'px';
    tip.hidden = false;
  }
  function fail(error) {
    document.body.dataset.failed = String(error);
    var mark = document.createElement('p');
    mark.className = 'mark';
    mark.textContent = 'The figures of this page could not be drawn (' + String(error) + '). The files in figures/ beside it show the same; the tables are complete.';
    document.body.insertBefore(mark, document.body.firstChild);
  }
  try { draw(); } catch (error) { fail(error); }
  function draw() {
  var figures = JSON.parse(document.getElementById('figures').textContent);
  var pending = figures.map(function (figure) {
    var box = document.getElementById('figure-' + figure.id);
    var view = new vega.View(vega.parse(figure.vega), { renderer: 'svg', container: box.querySelector('.plot'), hover: true });
    view.tooltip(showTip);
    var hidden = {};
    function redraw() {
      var rows = figure.rows.filter(function (row) { return !hidden[row.series]; });
      return view.data('rows', rows.map(function (row) { return Object.assign({}, row); })).runAsync();
    }
    var toggles = box.querySelector('.toggles');
    if (figure.series.length > 1) figure.series.forEach(function (name) {
      var label = document.createElement('label');
      var check = document.createElement('input');
      check.type = 'checkbox';
      check.checked = true;
      check.dataset.series = name;
      check.addEventListener('change', function () {
        hidden[name] = !check.checked;
        box.dataset.busy = '1';
        redraw().then(function () { delete box.dataset.busy; });
      });
      label.appendChild(check);
      label.appendChild(document.createTextNode(' ' + name));
      toggles.appendChild(label);
    });
    return view.runAsync();
  });
  Promise.all(pending).then(function () { document.body.dataset.ready = '1'; }, fail);
  }
})();
`;

export const pageStyle = `
:root { color-scheme: light; }
body { font: 15px/1.5 "DejaVu Sans", Verdana, Helvetica, sans-serif; margin: 0 auto; max-width: 1100px; padding: 1.5rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ccc; font-size: 1.25rem; }
.mark { border-left: 5px solid #b00020; background: #fdecee; padding: .5rem .8rem; font-weight: bold; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
th { background: #f4f4f4; } td.n, th.n { text-align: right; white-space: nowrap; }
figure { margin: 1.2rem 0; } figcaption { font-size: .9rem; color: #333; }
.toggles label { margin-right: 1rem; font-size: .85rem; }
.v-better, .v-reproduced, .v-reached, .v-exceeds { color: #00664a; font-weight: bold; }
.v-worse, .v-falls-short, .v-missed { color: #a33c00; font-weight: bold; }
#tip { position: absolute; background: #fff; border: 1px solid #888; padding: .3rem .5rem; font-size: .8rem; pointer-events: none; box-shadow: 0 1px 4px #0003; }
@media print { .toggles { display: none; } body { max-width: none; padding: 0; } figure, table { break-inside: avoid; } }
`;
