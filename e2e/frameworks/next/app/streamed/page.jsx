import { connection } from 'next/server';
import { Suspense } from 'react';

import Form from '../form';

// The form's fields are known after a moment, as if they came from another server.
async function LateForm() {
	await connection();
	await new Promise((resolve) => setTimeout(resolve, 300));
	return <Form />;
}

export default function NewTicket() {
	return (
		<>
			<h1>Streamed</h1>
			<Suspense fallback={<p>The form is on its way.</p>}>
				<LateForm />
			</Suspense>
		</>
	);
}
