import DefaultTheme from 'vitepress/theme';

import TicketForm from './TicketForm.vue';

export default {
	extends: DefaultTheme,
	enhanceApp({ app }) {
		app.component('TicketForm', TicketForm);
	},
};
