// Works that more than one experiment cites.
import type { Reference } from '../core/story.js';

export const packetOrder: Reference = {
  key: 'packet-order',
  authors: [
    'H. Ghasemirahni',
    'T. Barbette',
    'G. P. Katsikas',
    'A. Farshin',
    'A. Roozbeh',
    'M. Girondi',
    'M. Chiesa',
    'G. Q. Maguire Jr.',
    'D. Kostić',
  ],
  title: 'Packet Order Matters! Improving Application Performance by Deliberately Delaying Packets',
  venue: 'NSDI',
  year: 2022,
  pages: '807–827',
};
