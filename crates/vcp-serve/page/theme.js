// Light or dark: as the system says, or as was chosen here.

import { byId, icon, show } from './dom.js';

const REMEMBERED = 'vcp-clip theme';
const system = matchMedia('(prefers-color-scheme: dark)');

const chosen = () => localStorage.getItem(REMEMBERED);
const isDark = () => (chosen() ? chosen() === 'dark' : system.matches);

function apply() {
  const theme = chosen();
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  const label = isDark() ? 'Use light colours' : 'Use dark colours';
  const button = byId('theme');
  button.setAttribute('aria-label', label);
  button.title = label;
  show(button, icon(isDark() ? 'sun' : 'moon'));
}

/** Makes the switch work; once. */
export function startTheme() {
  byId('theme').addEventListener('click', () => {
    const wanted = isDark() ? 'light' : 'dark';
    // What the system says needs no memory, and follows it.
    if ((wanted === 'dark') === system.matches) localStorage.removeItem(REMEMBERED);
    else localStorage.setItem(REMEMBERED, wanted);
    apply();
  });
  system.addEventListener('change', apply);
  apply();
}
