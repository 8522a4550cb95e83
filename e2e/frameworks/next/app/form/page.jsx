import Form from '../form';

export default function NewTicket() {
	return (
		<>
			<h1>Form</h1>
			<Form />
		</>
	);
}
