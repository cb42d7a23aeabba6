"""stub"""


def api_document(routes, public_url):
    return {}
