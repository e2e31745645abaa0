// The notice of a new version. The first version that the server names is taken
// for the one that this page is of.

import { byId, cut, setText, showText } from './dom.js';

const changelogLimit = 300; // characters

export class VersionNotice {
  #first = '';
  #dismissed = '';

  constructor() {
    byId('update-reload').addEventListener('click', () => location.reload());
    byId('update-dismiss').addEventListener('click', () => {
      this.#dismissed = byId('update').dataset.version;
      byId('update').hidden = true;
    });
  }

  /** Applies the data of a version event. */
  take(notice) {
    const version = notice?.version;
    if (typeof version !== 'string' || version === '') return;
    if (this.#first === '') {
      this.#first = version;
      setText(byId('version'), `Version ${version}`);
    }
    const update = byId('update');
    setText(byId('update-title'), `A new version, ${version}, is available.`);
    showText(byId('update-changelog'), typeof notice.changelog === 'string' ? cut(notice.changelog, changelogLimit) : '');
    update.dataset.version = version;
    update.hidden = version === this.#first || version === this.#dismissed;
  }
}
