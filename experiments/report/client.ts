// What runs in the reader's browser: values under the pointer and by arrow keys, series that can be
// switched off, tables that sort, claims by verdict, contents that follow. Kept as text: the page is
// one file and knows no module.

export const clientScript = `
'use strict';
(function () {
  var all = function (selector, root) { return Array.prototype.slice.call((root || document).querySelectorAll(selector)); };
  var tip = document.getElementById('tip');
  function tell(mark) {
    var svg = mark.ownerSVGElement, group = mark.closest('[data-series]'), part = mark.getAttribute('data-t').split(';');
    var line = function (name, value) {
      var div = document.createElement('div'), b = document.createElement('b');
      b.textContent = name + ': ';
      div.appendChild(b);
      div.appendChild(document.createTextNode(value));
      tip.appendChild(div);
    };
    tip.textContent = '';
    if (group) line('series', group.getAttribute('data-series'));
    if (part[0] !== '') line(svg.getAttribute('data-x'), part[0]);
    line(svg.getAttribute('data-y'), part[1] + (part[2] === '' ? '' : ' (95 %: ' + part[2] + ' to ' + part[3] + ')'));
    var box = mark.getBoundingClientRect();
    tip.hidden = false;
    var left = Math.min(box.right + 10, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = Math.max(4, left) + window.scrollX + 'px';
    tip.style.top = box.bottom + 8 + window.scrollY + 'px';
  }
  function step(plot, by) {
    var marks = all('[data-t]', plot).filter(function (m) { return !m.closest('.off'); });
    var at = marks.findIndex(function (m) { return m.classList.contains('on'); });
    marks.forEach(function (m) { m.classList.remove('on'); });
    var next = marks[Math.min(marks.length - 1, Math.max(0, at + by))];
    if (!next) return;
    next.classList.add('on');
    tell(next);
  }
  all('.plot').forEach(function (plot) {
    plot.addEventListener('pointerover', function (event) {
      var mark = event.target.closest && event.target.closest('[data-t]');
      if (mark) tell(mark); else tip.hidden = true;
    });
    plot.addEventListener('pointerleave', function () { tip.hidden = true; });
    plot.addEventListener('blur', function () { tip.hidden = true; });
    plot.addEventListener('keydown', function (event) {
      var by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === 'Escape') tip.hidden = true;
      if (by === undefined) return;
      event.preventDefault();
      step(plot, by);
    });
  });
  all('.switches input').forEach(function (box) {
    box.addEventListener('change', function () {
      all('.plot [data-series]', box.closest('figure')).forEach(function (group) {
        if (group.getAttribute('data-series') === box.getAttribute('data-series')) group.classList.toggle('off', !box.checked);
      });
    });
  });
  function value(row, column) {
    var text = row.cells[column].textContent, figure = parseFloat(text.replace(/,/g, '').replace('\\u2212', '-'));
    return isNaN(figure) ? text : figure;
  }
  all('th button').forEach(function (button) {
    button.addEventListener('click', function () {
      var head = button.parentNode, column = head.cellIndex, body = head.closest('table').tBodies[0];
      var up = head.getAttribute('aria-sort') !== 'ascending';
      all('th', head.parentNode).forEach(function (th) { th.removeAttribute('aria-sort'); });
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      all('tr', body).sort(function (a, b) {
        var x = value(a, column), y = value(b, column);
        var order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === 'number' ? -1 : 1;
        return up ? order : -order;
      }).forEach(function (row) { body.appendChild(row); });
    });
  });
  all('.filter button').forEach(function (button) {
    button.addEventListener('click', function () {
      button.setAttribute('aria-pressed', String(button.getAttribute('aria-pressed') !== 'true'));
      var shown = all('.filter button[aria-pressed="true"]').map(function (b) { return b.dataset.word; });
      all('#claims tr[data-word]').forEach(function (row) { row.hidden = shown.indexOf(row.dataset.word) < 0; });
    });
  });
  var links = all('nav a');
  if (window.matchMedia('(max-width: 1349px)').matches) document.querySelector('nav details').open = false;
  function follow() {
    var now = links[0];
    links.forEach(function (link) {
      var at = document.getElementById(link.getAttribute('href').slice(1));
      if (at && at.getBoundingClientRect().top < window.innerHeight / 3) now = link;
    });
    links.forEach(function (link) { link.removeAttribute('aria-current'); });
    if (now) now.setAttribute('aria-current', 'true');
  }
  window.addEventListener('scroll', follow, { passive: true });
  follow();
  document.body.dataset.ready = '1';
})();
`;
