"""Trade executor: reads approved orders, control and the exchange; writes order updates and fills; owns every order."""
