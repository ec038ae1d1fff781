// The admin page. `npm run page` bundles it into the one document that the Worker sends.

import './ui/base.css';
import './ui/shell.css';
import { render } from 'preact';
import { App } from './app';

const root = document.getElementById('app');
if (root) render(<App />, root);
