"""The Python producer of the tornado sample and its many copies, under Python 3.

    python3 ticket.py KEY SECRET NAME AGO [without-lifetime]

`without-lifetime`: the oldest copies wrote no expiresIn."""
import base64
import hashlib
import hmac
import json
import sys
from datetime import datetime, timedelta

APPLICATION_KEY, APPLICATION_SECRET, NAMES, AGO = sys.argv[1:5]
VARIANT = sys.argv[5] if len(sys.argv) > 5 else ""


def getAuthTicket(user):
    userTicket = {
        'identity': {'type': 'username', 'endpoint': user['username']},
        'expiresIn': 3600,
        'applicationKey': APPLICATION_KEY,
        'created': (datetime.utcnow() - timedelta(seconds=int(AGO))).isoformat()
    }
    if VARIANT == "without-lifetime":
        del userTicket['expiresIn']

    userTicketJson = json.dumps(userTicket).replace(" ", "").encode()
    userTicketBase64 = base64.b64encode(userTicketJson)

    # TicketSignature = Base64 ( HMAC-SHA256 ( ApplicationSecret, UTF8 ( UserTicketJson ) ) )
    digest = hmac.new(base64.b64decode(APPLICATION_SECRET), msg=userTicketJson, digestmod=hashlib.sha256).digest()
    signature = base64.b64encode(digest)

    # UserTicket = TicketData + ":" + Base64 (TicketSignature)
    signedUserTicket = userTicketBase64 + b':' + signature
    return {'userTicket': signedUserTicket.decode()}


for name in NAMES.split("\n"):
    print(getAuthTicket({'username': name})['userTicket'])
