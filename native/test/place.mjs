// Where a planted bug goes: a list that quotes sources must survive a formatter, so white space counts for nothing.

/** @returns the source with `from` replaced by `to`; undefined where `from` is not there, or more than once */
export function planted(source, from, to) {
  const places = [];
  let bare = '';
  for (let i = 0; i < source.length; i++) {
    if (/\s/.test(source[i])) continue;
    bare += source[i];
    places.push(i);
  }
  const wanted = from.replace(/\s/g, '');
  const at = bare.indexOf(wanted);
  if (wanted === '' || at < 0 || bare.indexOf(wanted, at + 1) >= 0) return undefined;
  return source.slice(0, places[at]) + to + source.slice(places[at + wanted.length - 1] + 1);
}
